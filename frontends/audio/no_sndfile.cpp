// Stands in where libsndfile is left out.
#include "frontends/audio/sound_source.h"

namespace gemlet::audio {

Result<SoundSourcePtr> open_sndfile(SoundBytes& bytes) {
    return Status(StatusCode::unsupported,
                  "this build of gemlet reads no sound files (no libsndfile)", bytes.name());
}

}  // namespace gemlet::audio
