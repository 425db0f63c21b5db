// Puts nlohmann's SAX parser behind our own event type. The library's parser keeps its stack on the
// heap, checks UTF-8 and lone surrogates, and does not throw in this mode. Three things it does not
// do are done here: it takes a NUL byte for the end of the text, it has no depth limit, and it does
// not tell where an event lies (an iterator that counts does).
#include "core/json_events.h"

#include <iterator>
#include <limits>
#include <nlohmann/json.hpp>
#include <utility>

namespace gemlet {
namespace {

// Walks over the text and keeps the furthest position in a place that outlives its copies.
class CountingIterator {
  public:
    using iterator_category = std::input_iterator_tag;
    using value_type = char;
    using difference_type = std::ptrdiff_t;
    using pointer = const char*;
    using reference = const char&;

    CountingIterator(const char* at, const char** furthest) : at_(at), furthest_(furthest) {}
    reference operator*() const { return *at_; }
    CountingIterator& operator++() {
        *furthest_ = ++at_;
        return *this;
    }
    bool operator==(const CountingIterator& other) const { return at_ == other.at_; }
    bool operator!=(const CountingIterator& other) const { return at_ != other.at_; }

  private:
    const char* at_;
    const char** furthest_;
};

class SaxAdapter {
  public:
    using number_integer_t = nlohmann::json::number_integer_t;
    using number_unsigned_t = nlohmann::json::number_unsigned_t;
    using number_float_t = nlohmann::json::number_float_t;
    using string_t = nlohmann::json::string_t;
    using binary_t = nlohmann::json::binary_t;

    SaxAdapter(std::string_view text, const char** furthest, const JsonSink& sink)
        : text_(text), furthest_(furthest), sink_(sink) {}

    bool null() { return emit(JsonEvent::Kind::null); }
    bool boolean(bool value) {
        event_.boolean = value;
        return emit(JsonEvent::Kind::boolean);
    }
    // The library calls this one for spellings with a minus sign only, so a zero was "-0": the one
    // integer whose spelling its value does not tell.
    bool number_integer(number_integer_t value) {
        return number(value == 0 ? "-0" : std::to_string(value),
                      value == 0 ? -0.0 : static_cast<double>(value), true);
    }
    bool number_unsigned(number_unsigned_t value) {
        return number(std::to_string(value), static_cast<double>(value), true);
    }
    bool number_float(number_float_t value, const string_t& spelling) {
        std::string text = spelling;
        // The library writes the C locale's decimal point into its buffer.
        for (char& c : text) {
            if (std::string_view("0123456789+-eE").find(c) == std::string_view::npos) c = '.';
        }
        const bool is_integer = text.find_first_of(".eE") == std::string::npos;
        return number(std::move(text), value, is_integer);
    }
    bool string(string_t& value) {
        event_.text = std::move(value);
        return emit(JsonEvent::Kind::string);
    }
    bool key(string_t& value) {
        event_.text = std::move(value);
        return emit(JsonEvent::Kind::key);
    }
    bool binary(binary_t& /*value*/) { return false; }  // does not occur in text
    bool start_object(size_t /*n*/) { return begin(JsonEvent::Kind::begin_object); }
    bool end_object() { return end(JsonEvent::Kind::end_object); }
    bool start_array(size_t /*n*/) { return begin(JsonEvent::Kind::begin_array); }
    bool end_array() { return end(JsonEvent::Kind::end_array); }

    bool parse_error(size_t /*position*/, const std::string& /*token*/,
                     const nlohmann::json::exception& error) {
        constexpr int kNumberOutOfRange = 406;
        const char* reason = "not valid JSON";
        if (error.id == kNumberOutOfRange) {
            reason = "JSON number is too large";
        } else if (std::string_view(error.what()).find("UTF-8") != std::string_view::npos) {
            reason = "JSON text is not valid UTF-8";
        } else if (offset() >= text_.size()) {
            reason = "JSON text ends too early or is not valid";
        }
        status_ = Status(StatusCode::corrupt, reason, {}, static_cast<int64_t>(offset()));
        return false;
    }

    Status status() const { return status_; }

  private:
    size_t offset() const { return static_cast<size_t>(*furthest_ - text_.data()); }

    bool emit(JsonEvent::Kind kind) {
        event_.kind = kind;
        event_.offset = offset();
        status_ = sink_(event_);
        return status_.ok();
    }
    bool number(std::string spelling, double value, bool is_integer) {
        event_.text = std::move(spelling);
        event_.number = value;
        event_.is_integer = is_integer;
        return emit(JsonEvent::Kind::number);
    }
    bool begin(JsonEvent::Kind kind) {
        if (++depth_ > kMaxJsonDepth) {
            status_ = Status(StatusCode::corrupt, "JSON is nested too deeply", {},
                             static_cast<int64_t>(offset()));
            return false;
        }
        return emit(kind);
    }
    bool end(JsonEvent::Kind kind) {
        --depth_;
        return emit(kind);
    }

    std::string_view text_;
    const char** furthest_;
    const JsonSink& sink_;
    JsonEvent event_;
    size_t depth_ = 0;
    Status status_;
};

}  // namespace

Status read_json(std::string_view text, const JsonSink& sink) {
    if (const size_t nul = text.find('\0'); nul != std::string_view::npos) {
        return {StatusCode::corrupt, "JSON text holds a NUL byte", {}, static_cast<int64_t>(nul)};
    }
    const char* furthest = text.data();
    SaxAdapter adapter(text, &furthest, sink);
    const CountingIterator first(text.data(), &furthest);
    const CountingIterator last(text.data() + text.size(), &furthest);
    const bool complete = nlohmann::json::sax_parse(first, last, &adapter);
    if (!complete && adapter.status().ok()) return {StatusCode::corrupt, "not valid JSON"};
    return adapter.status();
}

}  // namespace gemlet
