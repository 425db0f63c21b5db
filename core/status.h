// Error values: what went wrong with something from outside (a file, an argument, a limit), small
// enough to return from anywhere and never allocating. Our own bugs hit GEMLET_ASSERT instead.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>

#ifdef GEMLET_ENABLE_ASSERT
#include <cassert>
#define GEMLET_ASSERT(condition) assert(condition)
#else
#define GEMLET_ASSERT(condition) ((void)0)
#endif

namespace gemlet {

enum class StatusCode : uint8_t {
    ok,
    not_found,     // a file, tensor or key that should be there is not
    io,            // the operating system refused
    corrupt,       // the bytes contradict their format
    unsupported,   // valid, but not something gemlet runs
    bad_argument,  // the caller's value is out of its range
    context_full,  // no room left in the context
    out_of_memory,
    cancelled,
};

/// A code, a static text, the name of the subject (shortened from the left when it is too long)
/// and one number (an offset, an index, a size; kNoNumber when there is none).
class [[nodiscard]] Status {
  public:
    static constexpr int64_t kNoNumber = INT64_MIN;

    constexpr Status() = default;
    /// `text` must live for ever (a string literal); `subject` is copied.
    Status(StatusCode code, const char* text, std::string_view subject = {},
           int64_t number = kNoNumber);

    constexpr bool ok() const { return code_ == StatusCode::ok; }
    constexpr StatusCode code() const { return code_; }
    constexpr const char* text() const { return text_; }
    constexpr int64_t number() const { return number_; }
    std::string_view subject() const { return subject_; }

    /// "subject: text (number)". Allocates; for messages to people.
    std::string message() const;

  private:
    const char* text_ = "";
    int64_t number_ = kNoNumber;
    StatusCode code_ = StatusCode::ok;
    char subject_[47] = {};
};

static_assert(sizeof(Status) <= 64 && std::is_trivially_copyable_v<Status>);

/// Either a value or a Status that is not ok. Member names follow std::expected.
template <class T>
class [[nodiscard]] Result {
  public:
    Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}
    Result(Status status) : state_(std::in_place_index<1>, status) { GEMLET_ASSERT(!status.ok()); }

    bool has_value() const { return state_.index() == 0; }
    explicit operator bool() const { return has_value(); }
    T& value() & { return *std::get_if<0>(&state_); }
    const T& value() const& { return *std::get_if<0>(&state_); }
    T&& value() && { return std::move(*std::get_if<0>(&state_)); }
    T& operator*() & { return value(); }
    const T& operator*() const& { return value(); }
    T&& operator*() && { return std::move(*this).value(); }
    T* operator->() { return &value(); }
    const T* operator->() const { return &value(); }
    Status error() const { return has_value() ? Status() : *std::get_if<1>(&state_); }

  private:
    std::variant<T, Status> state_;
};

inline Status status_of(Status status) { return status; }
template <class T>
Status status_of(const Result<T>& result) {
    return result.error();
}

}  // namespace gemlet

/// Returns the expression's Status from the enclosing function unless it is ok. Takes a Status or
/// a Result; for the value of a Result keep it in a variable first and GEMLET_TRY the variable.
#define GEMLET_TRY(expression)                                                                   \
    do {                                                                                         \
        if (::gemlet::Status gemlet_try_ = ::gemlet::status_of(expression); !gemlet_try_.ok()) { \
            return gemlet_try_;                                                                  \
        }                                                                                        \
    } while (false)
