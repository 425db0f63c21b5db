// What stands behind a SoundReader: decoders, at the rate and with the channels of the source.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>

#include "core/status.h"
#include "frontends/audio/sound_bytes.h"

namespace gemlet::audio {

/// A row of frames; a frame is one sample of each channel.
class SoundSource {
  public:
    struct Facts {
        double rate = 0;  // frames a second
        size_t n_channels = 0;
        std::optional<uint64_t> n_frames;  // as the header says
    };

    virtual ~SoundSource() = default;
    SoundSource(const SoundSource&) = delete;
    SoundSource& operator=(const SoundSource&) = delete;

    const Facts& facts() const { return facts_; }

    /// Reads up to frames.size() / n_channels frames; 0 only at the end.
    /// Shapes: frames [n, n_channels], n > 0. Values: full scale is 1, not yet checked.
    /// Errors: `corrupt`, also at the end when it comes too early; `io`; `cancelled` (raw only).
    virtual Result<size_t> read(std::span<float> frames) = 0;

  protected:
    SoundSource() = default;
    Facts facts_;
};

using SoundSourcePtr = std::unique_ptr<SoundSource>;

/// Opens what libsndfile reads, without it what open_wave reads; `bytes` must outlive the source.
/// Errors: `unsupported` for what is not read; `corrupt`; `io`.
Result<SoundSourcePtr> open_sndfile(SoundBytes& bytes);

/// Opens a WAV file of plain samples (little endian, 8 to 32 bits or float), with our own code;
/// `bytes` must outlive the source and have passed check_sound_is_whole. Errors: the same.
Result<SoundSourcePtr> open_wave(SoundBytes& bytes);

/// Opens an MP3; `bytes` must outlive the source. Errors: the same.
Result<SoundSourcePtr> open_mp3(SoundBytes& bytes);

/// Opens the best sound track that FFmpeg finds; `bytes` must outlive the source.
/// Errors: the same.
Result<SoundSourcePtr> open_ffmpeg(SoundBytes& bytes);

/// Whether open_ffmpeg can do anything in this build.
bool has_ffmpeg();

/// Samples without a header from a descriptor; see SoundReader::raw_pcm16.
Result<SoundSourcePtr> open_raw_pcm16(int descriptor, double rate);

}  // namespace gemlet::audio
