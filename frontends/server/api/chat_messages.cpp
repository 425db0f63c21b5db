// Everything the renderer would guess about or leave out is refused here, so that what a client
// sends and what the model reads are the same.
#include "frontends/server/api/chat_messages.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>
#include <string>
#include <string_view>

#include "frontends/server/api/base64.h"
#include "frontends/server/api/media_file.h"
#include "frontends/server/api/sound_pieces.h"

namespace gemlet::server {
namespace {

constexpr std::array<std::string_view, 5> kRoles = {"system", "developer", "user", "assistant",
                                                    "tool"};
constexpr size_t kDefaultBudget = 280;
constexpr std::string_view kFile = "file:";
constexpr std::string_view kLocalHost = "//localhost";
constexpr double kLatestFrame = 5999;  // 99:59, as it is written

/// The renderer's name for what a part brings; empty for parts that are not known.
std::string_view kind_of(std::string_view type) {
    if (type == "image_url") return "image";
    if (type == "input_audio") return "audio";
    return type == "video" || type == "input_video" ? "video" : "";
}

/// The time of a frame; -1 where it is none.
double seconds_of(const Json& value) {
    return value.is_number() && value.number >= 0 && value.number <= kLatestFrame ? value.number
                                                                                  : -1;
}

std::string_view text_of(const Json* value) {
    return value != nullptr && value->is_string() ? std::string_view(value->text)
                                                  : std::string_view();
}

/// The value of two hexadecimal digits.
std::optional<char> byte_of_hex(std::string_view digits) {
    unsigned value = 0;
    const auto end = std::from_chars(digits.data(), digits.data() + digits.size(), value, 16);
    if (digits.size() != 2 || end.ptr != digits.data() + 2) return std::nullopt;
    return static_cast<char>(value);
}

/// A path as URLs write it, with %20 for a blank; what is no escape stays.
std::string unescaped(std::string_view path) {
    std::string out;
    for (size_t i = 0; i < path.size(); ++i) {
        const auto byte = path[i] == '%' ? byte_of_hex(path.substr(i + 1, 2)) : std::nullopt;
        out += byte.value_or(path[i]);
        if (byte) i += 2;
    }
    return out;
}

class Reader {
  public:
    Reader(const Limits& limits, ChatMessages& out) : limits_(limits), out_(out) {}

    ApiError run(const Json& messages) {
        out_.messages = Json::array();
        for (const Json& message : messages.items) {
            where_ = "messages[" + std::to_string(index_++) + "]";
            if (ApiError error = read_message(message); !error.ok()) return error;
        }
        return {};
    }

  private:
    ApiError refuse(std::string_view path, std::string_view why) const {
        const std::string full = where_ + std::string(path);
        return bad_request(full + " " + std::string(why), full);
    }

    ApiError read_message(const Json& message) {
        if (!message.is_object()) return refuse("", "must be an object");
        const std::string_view role = text_of(message.find("role"));
        if (std::find(kRoles.begin(), kRoles.end(), role) == kRoles.end()) {
            return refuse(".role", "must be system, developer, user, assistant or tool");
        }
        for (const char* name : {"name", "tool_call_id", "reasoning", "reasoning_content"}) {
            const Json* value = message.find(name);
            if (value != nullptr && !value->is_null() && !value->is_string()) {
                return refuse("." + std::string(name), "must be a string");
            }
        }
        Json checked = message;
        const Json* calls = message.find("tool_calls");
        const bool has_calls = calls != nullptr && !calls->is_null();
        if (has_calls) {
            if (ApiError error = check_calls(*calls, role); !error.ok()) return error;
        }
        const Json* content = message.find("content");
        if (content == nullptr || content->is_null()) {
            const Json* thought = message.find("reasoning_content");
            const bool may_lack = role == "assistant" && (has_calls || thought != nullptr);
            if (!may_lack) return refuse(".content", "is missing");
        } else if (content->is_array()) {
            Json parts = Json::array();
            if (ApiError error = read_parts(*content, role, parts); !error.ok()) return error;
            checked.set("content", std::move(parts));
        } else if (!content->is_string()) {
            return refuse(".content", "must be a string or a list of parts");
        }
        out_.messages.items.push_back(std::move(checked));
        return {};
    }

    ApiError check_calls(const Json& calls, std::string_view role) const {
        if (role != "assistant") return refuse(".tool_calls", "belong to the assistant");
        if (!calls.is_array()) return refuse(".tool_calls", "must be an array");
        for (const Json& call : calls.items) {
            const Json* function = call.find("function");
            if (function == nullptr || text_of(function->find("name")).empty()) {
                return refuse(".tool_calls", "must have functions with names");
            }
            const Json* arguments = function->find("arguments");
            const bool known = arguments == nullptr || arguments->is_null() ||
                               arguments->is_string() || arguments->is_object();
            if (!known) return refuse(".tool_calls", "must have JSON text as arguments");
            if (arguments == nullptr || !arguments->is_string()) continue;
            const Result<Json> parsed = parse_json(arguments->text, DuplicateKeys::last_wins);
            if (!parsed || !parsed->is_object()) {
                return refuse(".tool_calls", "has arguments that are not the text of an object");
            }
        }
        return {};
    }

    ApiError read_parts(const Json& content, std::string_view role, Json& parts) {
        for (const Json& part : content.items) {
            const std::string_view type = text_of(part.find("type"));
            if (type == "text") {
                const Json* text = part.find("text");
                if (text == nullptr || !text->is_string()) {
                    return refuse(".content", "has a text part without text");
                }
                parts.items.push_back(part);
                continue;
            }
            const std::string_view kind = kind_of(type);
            if (kind.empty()) {
                return refuse(".content",
                              "has a part of unknown type: text, image_url, input_audio and "
                              "video are known");
            }
            if (role != "user" && role != "tool") {
                return refuse(".content", "may hold media for the roles user and tool only");
            }
            if (out_.media.size() == limits_.media) {
                return refuse(".content", "brings more media than a request may: " +
                                              std::to_string(limits_.media));
            }
            const size_t n_before = out_.media.size();
            ApiError error = kind == "image"   ? read_picture(part)
                             : kind == "audio" ? read_sound(part)
                                               : read_video(part, type);
            if (!error.ok()) return error;
            for (size_t i = n_before; i < out_.media.size(); ++i) {
                Json placeholder = Json::object();
                placeholder.set("type", Json::of(kind));
                parts.items.push_back(std::move(placeholder));
            }
        }
        return {};
    }

    ApiError read_picture(const Json& part) {
        const Json* image = part.find("image_url");
        // The short form: the URL itself.
        const Json* url = image != nullptr && image->is_object() ? image->find("url") : image;
        if (url == nullptr || !url->is_string()) {
            return refuse(".content", "has a picture without image_url.url");
        }
        size_t budget = kDefaultBudget;
        if (image->is_object()) {
            if (ApiError error = read_budget(part, *image, budget); !error.ok()) return error;
        }
        RequestMedium medium = {chat::MediaKind::image, {}, budget, {}};
        if (ApiError error = read_url(url->text, medium.bytes); !error.ok()) return error;
        out_.media.push_back(std::move(medium));
        return {};
    }

    /// The picture that a URL holds, or names under the folder that may be read.
    ApiError read_url(std::string_view data, std::vector<uint8_t>& bytes) {
        if (data.starts_with("http://") || data.starts_with("https://")) {
            return refuse(".content",
                          "names a picture elsewhere: this server fetches nothing, "
                          "send it as data:image/png;base64,..");
        }
        if (data.starts_with(kFile)) return read_file(data.substr(kFile.size()), bytes);
        if (data.starts_with("data:")) {
            const size_t comma = data.find(',');
            const std::string_view head = data.substr(0, comma);
            if (comma == std::string_view::npos || !head.starts_with("data:image/") ||
                !head.ends_with(";base64")) {
                return refuse(".content", "has a data URL that is no base64 picture");
            }
            data.remove_prefix(comma + 1);
        }
        return decode(data, limits_.picture_bytes, bytes);
    }

    /// All files of a request together are no larger than a body that brings them may be.
    ApiError read_file(std::string_view path, std::vector<uint8_t>& bytes) {
        if (limits_.media_path.empty()) {
            return {403, "permission_error", "pictures are not read from files", where_};
        }
        if (path.starts_with("//localhost/")) path.remove_prefix(kLocalHost.size());
        if (path.starts_with("//")) path.remove_prefix(2);
        const size_t most = std::min(limits_.picture_bytes, limits_.body_bytes - n_file_bytes_);
        switch (read_media_file(limits_.media_path, unescaped(path), most, bytes)) {
            case MediaFileFault::none:
                n_file_bytes_ += bytes.size();
                return {};
            case MediaFileFault::outside:
                return {403, "permission_error", "that file is not to be read", where_};
            case MediaFileFault::too_large:
                return too_large(where_ + ".content has too large a medium");
            case MediaFileFault::missing:
                break;
        }
        return refuse(".content", "names a file that cannot be read");
    }

    /// {"frames": [{"url": .., "seconds": ..}]}; without times they are a second apart.
    ApiError read_video(const Json& part, std::string_view type) {
        const Json* video = part.find(type);
        const Json* frames = video == nullptr ? nullptr : video->find("frames");
        if (frames == nullptr || !frames->is_array() || frames->items.empty() ||
            frames->items.size() > limits_.frames) {
            return refuse(".content", "has a video without a list of 1 to " +
                                          std::to_string(limits_.frames) + " frames");
        }
        n_frames_ += frames->items.size();
        if (n_frames_ > limits_.all_frames) {
            return refuse(".content", "brings more frames of videos than a request may: " +
                                          std::to_string(limits_.all_frames));
        }
        RequestMedium medium = {chat::MediaKind::video, {}, 0, {}};
        for (const Json& given : frames->items) {
            RequestFrame frame;
            frame.seconds = static_cast<double>(medium.frames.size());
            const Json* url = given.find("url");
            if (url == nullptr || !url->is_string()) {
                return refuse(".content", "has a frame without url");
            }
            if (const Json* seconds = given.find("seconds")) frame.seconds = seconds_of(*seconds);
            const double first = medium.frames.empty() ? frame.seconds : medium.frames[0].seconds;
            const double last = medium.frames.empty() ? 0 : medium.frames.back().seconds;
            if (!(frame.seconds >= last) || frame.seconds - first > limits_.video_seconds) {
                return refuse(".content",
                              "has frames whose seconds do not ascend, or are more than " +
                                  std::to_string(static_cast<int>(limits_.video_seconds)) +
                                  " apart");
            }
            if (ApiError error = read_url(url->text, frame.bytes); !error.ok()) return error;
            medium.frames.push_back(std::move(frame));
        }
        out_.media.push_back(std::move(medium));
        return {};
    }

    ApiError read_budget(const Json& part, const Json& image, size_t& budget) const {
        const std::string_view detail = text_of(image.find("detail"));
        if (detail == "low") budget = 70;
        if (detail == "high") budget = 1120;
        const Json* given = image.find("max_soft_tokens");
        if (given == nullptr) given = part.find("max_soft_tokens");
        if (given == nullptr || given->is_null()) return {};
        for (const size_t known : {70U, 140U, 280U, 560U, 1120U}) {
            if (given->is_number() && given->text == std::to_string(known)) {
                budget = known;
                return {};
            }
        }
        return refuse(".content", "has max_soft_tokens that is none of 70, 140, 280, 560, 1120");
    }

    ApiError read_sound(const Json& part) {
        const Json* sound = part.find("input_audio");
        const Json* data = sound == nullptr ? nullptr : sound->find("data");
        if (data == nullptr || !data->is_string()) {
            return refuse(".content", "has a sound without input_audio.data");
        }
        RequestMedium medium = {chat::MediaKind::audio, {}, 0, {}};
        ApiError error = decode(data->text, limits_.recording_bytes, medium.bytes);
        if (!error.ok()) return error;
        std::vector<std::vector<uint8_t>> pieces;
        if (limits_.cut_sounds) pieces = cut_sound(medium.bytes, limits_.recording_seconds);
        if (out_.media.size() + pieces.size() > limits_.media) {
            return refuse(".content",
                          "has a sound of too many pieces; /v1/audio/transcriptions takes any "
                          "length");
        }
        for (std::vector<uint8_t>& piece : pieces) {
            out_.media.push_back({chat::MediaKind::audio, std::move(piece), 0, {}});
        }
        if (pieces.empty()) out_.media.push_back(std::move(medium));
        return {};
    }

    ApiError decode(std::string_view base64, size_t most, std::vector<uint8_t>& bytes) const {
        std::optional<std::vector<uint8_t>> decoded = decode_base64(base64);
        if (!decoded || decoded->empty()) {
            return refuse(".content", "has a medium that is no base64");
        }
        if (decoded->size() > most) return too_large(where_ + ".content has too large a medium");
        bytes = std::move(*decoded);
        return {};
    }

    const Limits& limits_;
    ChatMessages& out_;
    size_t index_ = 0;
    size_t n_file_bytes_ = 0;  // read so far
    size_t n_frames_ = 0;      // of all videos so far
    std::string where_;
};

}  // namespace

ApiError read_messages(const Json& messages, const Limits& limits, ChatMessages& out) {
    if (!messages.is_array() || messages.items.empty()) {
        return bad_request("messages must be a list of at least one message", "messages");
    }
    if (messages.items.size() > limits.messages) {
        return bad_request("more messages than " + std::to_string(limits.messages), "messages");
    }
    return Reader(limits, out).run(messages);
}

}  // namespace gemlet::server
