// Stands in where the library for GIF files is left out.
#include "frontends/image/formats/format_readers.h"

namespace gemlet::image {

Result<StoredPicture> read_gif(std::span<const uint8_t> /*bytes*/,
                               const PictureLimits& /*limits*/) {
    return Status(StatusCode::unsupported, "this build of gemlet reads no GIF pictures", "GIF");
}

}  // namespace gemlet::image
