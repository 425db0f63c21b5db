// Stands in where libmpg123 is left out.
#include "frontends/audio/sound_source.h"

namespace gemlet::audio {

Result<SoundSourcePtr> open_mp3(SoundBytes& bytes) {
    return Status(StatusCode::unsupported, "this build of gemlet reads no MP3 (no libmpg123)",
                  bytes.name());
}

}  // namespace gemlet::audio
