// Requests to answers. The loop itself is Generator's; here its pieces go to the caller's
// functions.
#include "core/json.h"
#include "frontends/c_api/handles.h"
#include "frontends/text/response_json.h"
#include "frontends/text/tokenizer/detokenizer.h"

using gemlet::Answer;
using gemlet::AnswerEnd;
using gemlet::ChatPrompt;
using gemlet::DuplicateKeys;
using gemlet::EncodedMedia;
using gemlet::GenerateRequest;
using gemlet::Json;
using gemlet::MediaSource;
using gemlet::PromptMedium;
using gemlet::Result;
using gemlet::Status;
using gemlet::StatusCode;
using gemlet::c_api::in_session;
using gemlet::c_api::read_sized;
using gemlet::c_api::write_sized;

namespace chat = gemlet::chat;

namespace {

/// A request taken apart.
struct ChatRequest {
    Json messages;
    Json tools;
    chat::RenderOptions rendering;
    std::vector<MediaSource> media;
};

Result<ChatRequest> read_request(std::string_view text) {
    Result<Json> parsed = parse_json(text, DuplicateKeys::last_wins);
    if (!parsed) {
        return Status(StatusCode::bad_argument, "not JSON from this byte on", "request",
                      parsed.error().number());
    }
    ChatRequest request;
    if (parsed->is_array()) {
        request.messages = std::move(*parsed);
        return request;
    }
    const Json* messages = parsed->find("messages");
    if (messages == nullptr) {
        return Status(StatusCode::bad_argument, "neither messages nor an object with messages",
                      "request");
    }
    request.messages = *messages;
    if (const Json* tools = parsed->find("tools")) request.tools = *tools;
    if (!request.tools.is_null() && !request.tools.is_array()) {
        return Status(StatusCode::bad_argument, "must be a list", "tools");
    }
    if (const Json* flags = parsed->find("flags")) {
        request.rendering = chat::render_options_from(*flags);
    }
    return request;
}

/// Hands deltas to the caller's function until that has enough.
class DeltaGiver {
  public:
    DeltaGiver(gemlet_session& session, const gemlet_chat_options& options)
        : session_(session), options_(options) {}

    void take(const chat::ResponseDelta& delta) {
        give(GEMLET_DELTA_REASONING, delta.reasoning);
        give(GEMLET_DELTA_CONTENT, delta.content);
        for (const chat::ToolCall& call : delta.tool_calls) {
            if (options_.on_delta == nullptr) break;
            const Json calls = gemlet::tool_calls_json({&call, 1});
            give(GEMLET_DELTA_TOOL_CALL, write_json(calls.items.front()));
        }
    }

  private:
    void give(gemlet_delta_kind kind, std::string_view text) {
        if (text.empty() || options_.on_delta == nullptr || has_enough_) return;
        if (options_.on_delta(options_.user, kind, text.data(), text.size()) == 0) return;
        has_enough_ = true;
        session_.cancel.store(true, std::memory_order_relaxed);
    }

    gemlet_session& session_;
    const gemlet_chat_options& options_;
    bool has_enough_ = false;
};

gemlet_finish finish_of(const Answer& answer) {
    if (answer.end == AnswerEnd::cancelled) return GEMLET_FINISH_CANCELLED;
    if (answer.response.finish_reason == "tool_calls") return GEMLET_FINISH_TOOL_CALLS;
    return answer.response.finish_reason == "stop" ? GEMLET_FINISH_STOP : GEMLET_FINISH_LENGTH;
}

std::string json_of(const Answer& answer) {
    Json response = gemlet::response_json(answer.response);
    if (answer.end == AnswerEnd::cancelled) {
        response.set("finish_reason", Json::of("cancelled"));
    }
    return write_json(response);
}

gemlet_answer to_c(const Answer& answer) {
    gemlet_answer told = {};
    told.finish = finish_of(answer);
    told.n_prompt = answer.n_prompt;
    told.n_reused = answer.n_reused;
    told.n_completion = answer.n_completion;
    told.prefill_ns = answer.prefill_ns;
    told.decode_ns = answer.decode_ns;
    return told;
}

/// The media of a request. Elements are as far apart as the first one says.
Result<std::vector<MediaSource>> read_media(const gemlet_chat_options& options) {
    std::vector<MediaSource> sources;
    if (options.n_media == 0) return sources;
    if (options.media == nullptr)
        return Status(StatusCode::bad_argument, "there are none", "media");
    const size_t stride = options.media->size;
    const auto* at = reinterpret_cast<const char*>(options.media);
    for (size_t i = 0; i < options.n_media; ++i, at += stride) {
        const auto bad = [&](const char* text) {
            return Status(StatusCode::bad_argument, text, "media", static_cast<int64_t>(i));
        };
        const auto* element = reinterpret_cast<const gemlet_media*>(at);
        gemlet_media given = {};
        if (stride < sizeof(size_t) || stride % alignof(gemlet_media) != 0 ||
            element->size != stride) {
            return bad("sizes of the elements differ or are not set");
        }
        GEMLET_TRY(read_sized(element, given));
        // C lets anything be written to an enumeration; C++ must not even load it as one.
        int kind = 0;
        static_assert(sizeof(kind) == sizeof(given.kind));
        std::memcpy(&kind, &given.kind, sizeof(kind));
        MediaSource source;
        if (kind == GEMLET_MEDIA_AUDIO) source.kind = chat::MediaKind::audio;
        if (kind == GEMLET_MEDIA_VIDEO) source.kind = chat::MediaKind::video;
        if (kind < GEMLET_MEDIA_IMAGE || kind > GEMLET_MEDIA_VIDEO) return bad("no such kind");
        if (given.bytes != nullptr) {
            source.bytes = {static_cast<const uint8_t*>(given.bytes), given.n_bytes};
        } else if (given.path != nullptr && given.path_bytes > 0) {
            source.path.assign(given.path, given.path_bytes);
        } else {
            return bad("neither bytes nor a path");
        }
        sources.push_back(std::move(source));
    }
    return sources;
}

Result<EncodedMedia> encode(gemlet_session& self, const std::vector<MediaSource>& sources) {
    if (sources.empty()) return EncodedMedia();
    const std::lock_guard<std::mutex> lock(self.media->one_at_a_time);
    return encode_media(self.media->encoder, sources, self.fault_file);
}

Status answer_request(gemlet_session& self, ChatRequest& request,
                      const gemlet_chat_options& options, gemlet_answer* answer) {
    if (answer != nullptr) GEMLET_TRY(write_sized(gemlet_answer{}, answer));
    request.rendering.add_generation_prompt = true;
    if (options.enable_thinking != 0) request.rendering.enable_thinking = true;
    const Result<EncodedMedia> media = encode(self, request.media);
    GEMLET_TRY(media);
    const Result<ChatPrompt> prompt = make_chat_prompt(*self.chat, request.messages, request.tools,
                                                       request.rendering, media->media);
    GEMLET_TRY(prompt);
    const std::vector<PromptMedium> placed = media->place(prompt->runs);
    if (!self.generator) self.generator.emplace(*self.session, self.chat->tokenizer);

    DeltaGiver giver(self, options);
    GenerateRequest task;
    task.prompt = prompt->ids;
    task.media = placed;
    task.sampling = self.sampling;
    task.start = prompt->start;
    task.max_tokens = options.max_tokens;
    task.cancel = &self.cancel;
    task.on_delta = [&](const chat::ResponseDelta& delta) { giver.take(delta); };
    if (options.on_progress != nullptr) {
        task.on_prefill = [&](size_t done, size_t total) {
            options.on_progress(options.user, done, total);
        };
    }
    const Result<Answer> made = self.generator->run(task);
    GEMLET_TRY(made);
    self.answer = json_of(*made);
    return answer != nullptr ? write_sized(to_c(*made), answer) : Status();
}

/// What chat and ask have in common; `read` makes the request.
template <class Read>
gemlet_status converse(gemlet_session* session, const gemlet_chat_options* options,
                       gemlet_answer* answer, Read&& read) {
    return in_session(session, [&](gemlet_session& self) -> Status {
        self.cancel = false;
        self.answer.clear();
        gemlet_chat_options given = {};
        GEMLET_TRY(read_sized(options, given));
        Result<std::vector<MediaSource>> media = read_media(given);
        GEMLET_TRY(media);
        Result<ChatRequest> request = read(*media);
        GEMLET_TRY(request);
        request->media = std::move(*media);
        return answer_request(self, *request, given, answer);
    });
}

Result<ChatRequest> request_of_user(std::string_view text, std::span<const MediaSource> media) {
    Json message = Json::object();
    message.set("role", Json::of("user")).set("content", Json::of(text));
    if (!media.empty()) {
        Json parts = Json::array();
        for (const MediaSource& source : media) parts.items.push_back(media_part(source));
        Json last = Json::object();
        last.set("type", Json::of("text")).set("text", Json::of(text));
        parts.items.push_back(std::move(last));
        message.set("content", std::move(parts));
    }
    ChatRequest request;
    request.messages = Json::array();
    request.messages.items.push_back(std::move(message));
    return request;
}

}  // namespace

gemlet_status gemlet_session_chat(gemlet_session* session, const char* json, size_t json_bytes,
                                  const gemlet_chat_options* options, gemlet_answer* answer) {
    return converse(session, options, answer, [&](const auto& /*media*/) -> Result<ChatRequest> {
        if (json == nullptr) return Status(StatusCode::bad_argument, "there is none", "request");
        return read_request({json, json_bytes});
    });
}

gemlet_status gemlet_session_ask(gemlet_session* session, const char* text, size_t text_bytes,
                                 const gemlet_chat_options* options, gemlet_answer* answer) {
    return converse(session, options, answer, [&](const auto& media) -> Result<ChatRequest> {
        if (text == nullptr && text_bytes > 0) {
            return Status(StatusCode::bad_argument, "there is none", "text");
        }
        if (gemlet::replace_broken_utf8({text, text_bytes}) != std::string_view(text, text_bytes)) {
            return Status(StatusCode::bad_argument, "is not UTF-8", "text");
        }
        return request_of_user({text, text_bytes}, media);
    });
}

gemlet_status gemlet_session_answer(gemlet_session* session, const char** json,
                                    size_t* json_bytes) {
    return in_session(session, [&](gemlet_session& self) -> Status {
        if (json == nullptr || json_bytes == nullptr) {
            return {StatusCode::bad_argument, "an out-parameter is null"};
        }
        if (self.answer.empty()) return {StatusCode::bad_argument, "nothing was answered yet"};
        *json = self.answer.data();
        *json_bytes = self.answer.size();
        return {};
    });
}
