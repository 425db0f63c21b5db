// What the handles of gemlet.h hold, and how faults and sized structures cross the border.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstring>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "core/engine/sampler.h"
#include "core/engine/session.h"
#include "core/guard.h"
#include "core/status.h"
#include "frontends/c_api/gemlet.h"
#include "frontends/media/message_media.h"
#include "frontends/text/chat_model.h"
#include "frontends/text/generate.h"

namespace gemlet::c_api {

/// A line of text in a fixed place.
class ErrorText {
  public:
    const char* text() const { return text_.data(); }
    void clear() { text_[0] = '\0'; }
    /// Writes "place: message", or the message alone where there is no place. Of a long place the
    /// beginning is left out.
    void set(const Status& status, std::string_view place = {}) noexcept;

  private:
    std::array<char, 512> text_{};
};

gemlet_status status_of_code(StatusCode code);

/// Copies a structure of the caller's size over `to`, which keeps its values where the caller's
/// ends. A null pointer copies nothing. Errors: `bad_argument`; `unsupported` where the caller's is
/// longer and its further bytes are not 0.
template <class T>
Status read_sized(const T* from, T& to) {
    static_assert(std::is_trivially_copyable_v<T>);
    if (from == nullptr) return {};
    const size_t size = from->size;
    if (size < sizeof(size_t)) {
        return {StatusCode::bad_argument, "a structure's size is not set"};
    }
    const auto* bytes = reinterpret_cast<const char*>(from);
    constexpr size_t kMost = 4096;  // no structure will be this large: the size is garbage
    if (size > kMost) return {StatusCode::bad_argument, "a structure's size is not its size"};
    if (size > sizeof(T) &&
        !std::all_of(bytes + sizeof(T), bytes + size, [](char byte) { return byte == 0; })) {
        return {StatusCode::unsupported, "a structure has fields of a later version set"};
    }
    std::memcpy(static_cast<void*>(&to), bytes, std::min(size, sizeof(T)));
    return {};
}

/// Fills as much of a structure as the caller knows of. Leaves its size as it is.
template <class T>
Status write_sized(T from, T* to) {
    static_assert(std::is_trivially_copyable_v<T>);
    if (to == nullptr || to->size < sizeof(size_t)) {
        return {StatusCode::bad_argument, "a structure's size is not set"};
    }
    from.size = to->size;
    std::memcpy(static_cast<void*>(to), &from, std::min(to->size, sizeof(T)));
    return {};
}

/// The encoders of a model, for all of its sessions in turn.
struct SharedEncoder {
    SharedEncoder(std::shared_ptr<ChatModel> model, PictureOptions pictures, SoundOptions sounds)
        : chat(std::move(model)), encoder(*chat->engine, std::move(pictures), std::move(sounds)) {}

    std::shared_ptr<ChatModel> chat;  // outlives the encoder
    std::mutex one_at_a_time;
    MediaEncoder encoder;
};

}  // namespace gemlet::c_api

struct gemlet_model {
    std::shared_ptr<gemlet::ChatModel> chat;  // null: opening failed
    std::shared_ptr<gemlet::c_api::SharedEncoder> media;
    gemlet::c_api::ErrorText error;
};

struct gemlet_session {
    std::shared_ptr<gemlet::ChatModel> chat;
    std::shared_ptr<gemlet::c_api::SharedEncoder> media;
    std::unique_ptr<gemlet::Session> session;  // null: creation failed
    // Knows the session's tokens as long as nobody else appends; empty when somebody has.
    std::optional<gemlet::Generator> generator;
    gemlet::SamplerOptions sampling;
    std::optional<gemlet::Sampler> sampler;  // of single steps, once they are used
    std::vector<gemlet::PromptRow> rows;     // of the running append
    std::string answer;                      // the last one, as JSON
    std::string fault_file;                  // of the running call
    std::atomic<bool> cancel{false};
    gemlet::c_api::ErrorText error;
};

namespace gemlet::c_api {

/// Runs the body of a function of a session, keeps what it says and returns its code.
template <class Body>
gemlet_status in_session(gemlet_session* session, Body&& body) noexcept {
    if (session == nullptr || session->session == nullptr) return GEMLET_BAD_ARGUMENT;
    session->fault_file.clear();
    const Status status = guard([&]() -> Status { return body(*session); });
    session->error.clear();
    if (!status.ok()) session->error.set(status, session->fault_file);
    return status_of_code(status.code());
}

}  // namespace gemlet::c_api
