// From the media that messages speak of to rows of the prompt.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/engine/engine.h"
#include "core/json.h"
#include "core/status.h"
#include "frontends/media/content_hash.h"
#include "frontends/media/picture_encoder.h"
#include "frontends/media/soft_tokens.h"
#include "frontends/media/sound_encoder.h"
#include "frontends/text/chat/media.h"
#include "frontends/text/generate.h"

namespace gemlet {

/// A picture out of a video, with its time.
struct MediaFrame {
    std::span<const uint8_t> bytes;
    double seconds = 0;
};

/// A medium to encode: a file, or its bytes where `path` is empty.
struct MediaSource {
    chat::MediaKind kind = chat::MediaKind::image;
    std::string path = {};
    std::span<const uint8_t> bytes = {};
    std::optional<ContentHash> content = {};  // what the file must hold
    size_t budget = 0;                        // of a picture; 0: the encoder's
    std::span<const MediaFrame> frames = {};  // of a video that comes as pictures
};

/// The part of a message that stands for a file: {"type": "image", "path": ..}, and with the mark
/// of a content {.., "content_mark": ..}: whatever becomes of the file, this content is meant.
Json media_part(const MediaSource& source);

/// The files that parts of messages name as `path`, in order.
/// Errors: `bad_argument` where such a part is no picture, sound or video, or its mark is none.
Result<std::vector<MediaSource>> media_of_messages(const Json& messages);

/// The encoders of an engine's model, each opened with its first medium, and a cache of what they
/// gave. One thread at a time; the engine must outlive it.
class MediaEncoder {
  public:
    MediaEncoder(Engine& engine, PictureOptions pictures, SoundOptions sounds = {})
        : engine_(&engine),
          pictures_(engine, std::move(pictures)),
          sounds_(engine, std::move(sounds)) {}

    /// Encodes a medium, or finds what the same content gave before; a content that is known is not
    /// read again. `fault_file` receives the path of the file an error is about.
    /// Errors: those of PictureEncoder and SoundEncoder; `bad_argument` for a file that holds
    /// another content, and for frames of different sizes; `out_of_memory` when both encoders
    /// together exceed the memory limit.
    Result<SharedSoftTokens> encode(const MediaSource& source, std::string& fault_file);
    /// From now on an encoding ends as `cancelled` when this says so; it is asked often. Empty:
    /// never. Videos end by themselves only.
    void watch(std::function<bool()> cancelled) { cancelled_ = std::move(cancelled); }

  private:
    ContentHash key_of(const MediaSource& source, const ContentHash& content) const;
    Result<SoftTokens> encode_new(const MediaSource& source, std::span<const uint8_t> bytes,
                                  std::string& fault_file);
    Result<SoftTokens> encode_frames(std::span<const MediaFrame> frames, std::string& fault_file);
    Status check_limit() const;
    uint64_t resident_bytes() const;
    size_t cache_bytes() const;

    Engine* engine_;
    PictureEncoder pictures_;
    SoundEncoder sounds_;
    SoftTokenCache known_;
    std::function<bool()> cancelled_;
};

/// Hashes the content of a file. Errors: those of MappedFile::open.
Result<ContentHash> content_of_file(const std::string& path);

/// Media of a prompt, encoded.
struct EncodedMedia {
    std::vector<chat::Medium> media;     // for make_chat_prompt
    std::vector<SharedSoftTokens> soft;  // of each

    /// Where the rows go, given the runs of the prompt. What it returns borrows from `soft`.
    std::vector<PromptMedium> place(std::span<const chat::MediaRun> runs) const;
};

/// Encodes media in order. Errors: as MediaEncoder::encode.
Result<EncodedMedia> encode_media(MediaEncoder& encoder, std::span<const MediaSource> sources,
                                  std::string& fault_file);

}  // namespace gemlet
