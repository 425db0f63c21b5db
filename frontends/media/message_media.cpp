// Parts and media are matched by order alone, so a part that is not understood must be an error:
// left out, it would give its place to the next.
#include "frontends/media/message_media.h"

#include <algorithm>
#include <array>
#include <bit>
#include <string_view>
#include <utility>

#include "core/files/mapped_file.h"
#include "core/guard.h"

namespace gemlet {
namespace {

struct KindName {
    chat::MediaKind kind;
    std::string_view name;
};
constexpr std::array kKindNames = {KindName{chat::MediaKind::image, "image"},
                                   KindName{chat::MediaKind::audio, "audio"},
                                   KindName{chat::MediaKind::video, "video"}};
constexpr std::string_view kMark = "content_mark";

std::optional<chat::MediaKind> kind_of(const Json* type) {
    for (const KindName& known : kKindNames) {
        if (type != nullptr && type->is_string() && type->text == known.name) return known.kind;
    }
    return std::nullopt;
}

Result<MediaSource> source_of(const Json& part, const Json& path) {
    const std::optional<chat::MediaKind> kind = kind_of(part.find("type"));
    if (!path.is_string() || path.text.empty() || !kind) {
        return Status(StatusCode::bad_argument, "no picture, sound or video", path.text);
    }
    MediaSource source{*kind, path.text};
    if (const Json* mark = part.find(kMark)) {
        source.content = hash_of_hex(mark->text);
        if (!source.content) {
            return Status(StatusCode::bad_argument, "its content_mark is none", path.text);
        }
    }
    return source;
}

ContentHash hash_frames(std::span<const MediaFrame> frames) {
    ContentHash hash;
    for (const MediaFrame& frame : frames) {
        const ContentHash content = hash_content(frame.bytes);
        hash = with_setting(with_setting(hash, content.first), content.second);
        hash = with_setting(hash, std::bit_cast<uint64_t>(frame.seconds));
    }
    return hash;
}

}  // namespace

Json media_part(const MediaSource& source) {
    Json part = Json::object();
    for (const KindName& known : kKindNames) {
        if (known.kind == source.kind) part.set("type", Json::of(known.name));
    }
    part.set("path", Json::of(source.path));
    if (source.content) part.set(kMark, Json::of(to_hex(*source.content)));
    return part;
}

Result<std::vector<MediaSource>> media_of_messages(const Json& messages) {
    std::vector<MediaSource> sources;
    for (const Json& message : messages.items) {
        const Json* content = message.find("content");
        if (content == nullptr || !content->is_array()) continue;
        for (const Json& part : content->items) {
            const Json* path = part.find("path");
            if (path == nullptr) continue;
            const Result<MediaSource> source = source_of(part, *path);
            GEMLET_TRY(source);
            sources.push_back(*source);
        }
    }
    return sources;
}

Result<ContentHash> content_of_file(const std::string& path) {
    const Result<MappedFile> file = MappedFile::open(path);
    GEMLET_TRY(file);
    return hash_content(file->bytes());
}

/// What an encoding depends on beside the content.
ContentHash MediaEncoder::key_of(const MediaSource& source, const ContentHash& content) const {
    const PictureOptions& options = pictures_.options();
    uint64_t budget = 0;  // sounds have none
    if (source.kind == chat::MediaKind::image) {
        budget = source.budget != 0 ? source.budget : options.budget;
    }
    if (source.kind == chat::MediaKind::video) budget = options.frame_budget;
    constexpr unsigned kKindShift = 32;
    return with_setting(content, static_cast<uint64_t>(source.kind) << kKindShift | budget);
}

uint64_t MediaEncoder::resident_bytes() const {
    return engine_->memory().resident_bytes + pictures_.resident_bytes() + sounds_.resident_bytes();
}

/// Each encoder has checked itself beside the model when it was opened.
Status MediaEncoder::check_limit() const {
    const uint64_t limit = engine_->options().memory_limit_bytes;
    if (limit == 0 || resident_bytes() <= limit) return {};
    return {StatusCode::out_of_memory,
            "model and encoders do not fit the memory limit; they take (bytes)", "--memory",
            static_cast<int64_t>(resident_bytes())};
}

/// A memory limit leaves the cache what model and encoders do not take.
size_t MediaEncoder::cache_bytes() const {
    const uint64_t limit = engine_->options().memory_limit_bytes;
    if (limit == 0) return SoftTokenCache::kDefaultBytes;
    const uint64_t taken = resident_bytes();
    return std::min<uint64_t>(limit - std::min(limit, taken), SoftTokenCache::kDefaultBytes);
}

Result<SoftTokens> MediaEncoder::encode_new(const MediaSource& source,
                                            std::span<const uint8_t> bytes,
                                            std::string& fault_file) {
    if (source.kind == chat::MediaKind::audio) {
        GEMLET_TRY(sounds_.encoder(fault_file));
        GEMLET_TRY(check_limit());
        return sounds_.encode(bytes, fault_file, cancelled_);
    }
    GEMLET_TRY(pictures_.encoder(fault_file));
    GEMLET_TRY(check_limit());
    if (source.kind == chat::MediaKind::image) {
        return pictures_.encode(bytes, fault_file, source.budget, cancelled_);
    }
    if (!source.frames.empty()) return encode_frames(source.frames, fault_file);
    if (!source.path.empty()) return pictures_.encode_video(source.path, fault_file);
    return Status(StatusCode::unsupported, "videos are read from files only");
}

Result<SoftTokens> MediaEncoder::encode_frames(std::span<const MediaFrame> frames,
                                               std::string& fault_file) {
    SoftTokens video;
    for (const MediaFrame& frame : frames) {
        const Result<SoftTokens> soft =
            pictures_.encode(frame.bytes, fault_file, pictures_.options().frame_budget, cancelled_);
        GEMLET_TRY(soft);
        if (video.n != 0 && soft->n != video.n) {
            return Status(StatusCode::bad_argument, "the frames of a video must have one size");
        }
        video.n = soft->n;
        video.values.insert(video.values.end(), soft->values.begin(), soft->values.end());
        video.frame_seconds.push_back(frame.seconds);
    }
    return video;
}

Result<SharedSoftTokens> MediaEncoder::encode(const MediaSource& source, std::string& fault_file) {
    return guard([&]() -> Result<SharedSoftTokens> {
        fault_file = source.path;
        if (cancelled_ && cancelled_()) {
            return Status(StatusCode::cancelled, "the medium is not wanted any more");
        }
        if (source.content) {
            if (SharedSoftTokens known = known_.find(key_of(source, *source.content))) {
                return known;
            }
        }
        std::optional<MappedFile> file;
        if (!source.path.empty()) {
            Result<MappedFile> opened = MappedFile::open(source.path);
            GEMLET_TRY(opened);
            file = std::move(*opened);
        }
        const std::span<const uint8_t> bytes = file ? file->bytes() : source.bytes;
        const ContentHash content =
            source.frames.empty() ? hash_content(bytes) : hash_frames(source.frames);
        if (source.content && *source.content != content) {
            return Status(StatusCode::bad_argument,
                          "the file does not hold what it held in this conversation");
        }
        const ContentHash key = key_of(source, content);
        if (SharedSoftTokens known = known_.find(key)) return known;
        Result<SoftTokens> soft = encode_new(source, bytes, fault_file);
        GEMLET_TRY(soft);
        soft->mark = key.mark();
        known_.limit(cache_bytes());
        return known_.keep(key, std::move(*soft));
    });
}

std::vector<PromptMedium> EncodedMedia::place(std::span<const chat::MediaRun> runs) const {
    std::vector<PromptMedium> placed;
    placed.reserve(runs.size());
    for (const chat::MediaRun& run : runs) {
        const SoftTokens& tokens = *soft[run.medium];
        placed.push_back(
            {run.begin, run.count, tokens.rows_of(run.frame), tokens.mark_of(run.frame)});
    }
    return placed;
}

Result<EncodedMedia> encode_media(MediaEncoder& encoder, std::span<const MediaSource> sources,
                                  std::string& fault_file) {
    EncodedMedia out;
    for (const MediaSource& source : sources) {
        const Result<SharedSoftTokens> soft = encoder.encode(source, fault_file);
        GEMLET_TRY(soft);
        out.media.push_back({source.kind, (*soft)->n, (*soft)->frame_seconds});
        out.soft.push_back(*soft);
    }
    fault_file.clear();
    return out;
}

}  // namespace gemlet
