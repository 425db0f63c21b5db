// What a sound file is, by its first bytes, and whether it ends before its own header says.
#pragma once

#include <cstdint>

#include "core/status.h"
#include "frontends/audio/sound_bytes.h"

namespace gemlet::audio {

/// Containers whose beginning is looked at here; `other` may still be something FFmpeg knows (Ogg
/// counts only with Vorbis or Opus in it).
enum class SoundFormat : uint8_t { wav, aiff, au, caf, flac, ogg, mp3, other };

/// Tells the format by the bytes; a tag (ID3) in front is stepped over.
SoundFormat identify_sound(SoundBytes& bytes);

/// Compares what the header promises with what is there, as far as that can be seen without
/// decoding: sizes of data in WAV, RF64, AIFF, AU, CAF (those that mean "until the end" are none),
/// the last page of an Ogg file, the length that the first frame of an MP3 may carry.
/// Errors: `corrupt`. Libraries read such files as far as they go, in silence.
Status check_sound_is_whole(SoundBytes& bytes, SoundFormat format);

/// Where in a WAV file (little endian) the description of its samples lies, and where they do.
struct WavChunks {
    uint64_t format_begin = 0;
    uint64_t format_bytes = 0;  // 0: there is none
    uint64_t data_begin = 0;    // 0: there are none
    uint64_t data_bytes = 0;    // to the end of the file where its length was not known
};
WavChunks find_wav_chunks(SoundBytes& bytes);

/// Whether an MP3 tells in its first frame how many frames it has.
bool mp3_tells_length(SoundBytes& bytes);

}  // namespace gemlet::audio
