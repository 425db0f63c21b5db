// Sound files of any format, rate and number of channels as a stream of mono samples at 16 kHz.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "core/status.h"
#include "frontends/audio/mel.h"

namespace gemlet::audio {

class SoundBytes;

/// What a sound may be before it is refused.
struct SoundLimits {
    size_t max_channels = 64;
    double min_rate = 1000;  // samples a second
    double max_rate = 768000;
    /// Full scale is 1. Beyond this (whole numbers of 32 bits that were never scaled) samples of a
    /// float file are garbage: another byte order, another format.
    double max_amplitude = 2147483648.0;
};

/// Streams a sound: 16 kHz, mono (channels averaged before the rate is changed), float32, full
/// scale 1. Holds blocks of some thousand samples, never the whole sound. Formats are told by
/// their bytes, never by names: WAV (8 to 32 bits, float, ADPCM, A-law ..), RF64, AIFF, AU, CAF,
/// FLAC, Ogg with Vorbis or Opus, MP3 through libsndfile; the others FFmpeg knows (M4A, the sound
/// of videos ..) where it is built in (GEMLET_SNDFILE, GEMLET_SOXR, GEMLET_FFMPEG).
/// Without any library: plain WAV at every rate. Threads: one at a time.
class SoundReader {
  public:
    /// Opens a file. Errors: `not_found`, `io`; `unsupported` for what is no regular file and for
    /// formats and compressions this build does not read; `corrupt` for damage, for sounds without
    /// a sample and for those that end before their header says; `bad_argument` beyond the limits.
    static Result<std::unique_ptr<SoundReader>> open(const std::string& path,
                                                     const SoundLimits& limits = {});

    /// The same for bytes in memory, which must stay there while the reader lives.
    static Result<std::unique_ptr<SoundReader>> from_memory(std::span<const uint8_t> bytes,
                                                            const SoundLimits& limits = {});

    /// Reads signed 16-bit little-endian mono samples without a header, as they arrive, from a
    /// pipe, a terminal or a file; the descriptor stays the caller's. Half a sample at the end is
    /// dropped. Errors: `bad_argument` for rates beyond the limits.
    static Result<std::unique_ptr<SoundReader>> raw_pcm16(int descriptor, double rate);

    ~SoundReader();
    SoundReader(const SoundReader&) = delete;
    SoundReader& operator=(const SoundReader&) = delete;

    /// Fills `out`; returns fewer samples only at the end, and 0 from then on. The raw reader
    /// returns what has arrived, and waits for at least one sample.
    /// Errors: `corrupt` for damage, also damage that only shows at the end (fewer samples than
    /// promised), and for samples that are not finite or beyond the limit, with the number of
    /// the first such frame of the source; `io`; `cancelled` where a signal ended the raw reader's
    /// waiting (reading may go on). Other errors stay: reading on gives the same one again.
    Result<size_t> read(std::span<float> out);

    /// The length that the file's header gives, in seconds: for display only, since headers lie.
    std::optional<double> duration_s() const;
    /// How far in the sound the next sample of read() stands, in seconds.
    double position_s() const;
    /// Of the source, before conversion.
    double source_rate() const;
    size_t source_channels() const;

  private:
    struct State;
    explicit SoundReader(std::unique_ptr<State> state);
    static Result<std::unique_ptr<SoundReader>> over(std::unique_ptr<SoundBytes> bytes,
                                                     const SoundLimits& limits);
    std::unique_ptr<State> state_;
};

}  // namespace gemlet::audio
