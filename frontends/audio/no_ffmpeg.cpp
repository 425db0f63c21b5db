// Stands in where FFmpeg's libraries are left out.
#include "frontends/audio/sound_source.h"

namespace gemlet::audio {

Result<SoundSourcePtr> open_ffmpeg(SoundBytes& bytes) {
    return Status(StatusCode::unsupported, "not a sound in a format known here", bytes.name());
}

bool has_ffmpeg() { return false; }

}  // namespace gemlet::audio
