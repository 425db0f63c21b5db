// Stands in where libsndfile is left out: plain WAV files are read all the same.
#include "frontends/audio/sound_format.h"
#include "frontends/audio/sound_source.h"

namespace gemlet::audio {

Result<SoundSourcePtr> open_sndfile(SoundBytes& bytes) {
    if (identify_sound(bytes) == SoundFormat::wav) return open_wave(bytes);
    return Status(StatusCode::unsupported,
                  "of sound files this build of gemlet reads only WAV (no libsndfile)",
                  bytes.name());
}

}  // namespace gemlet::audio
