// Stands in where the library for JPEG files is left out.
#include "frontends/image/formats/format_readers.h"

namespace gemlet::image {

Result<StoredPicture> read_jpeg(std::span<const uint8_t> /*bytes*/,
                                const PictureLimits& /*limits*/) {
    return Status(StatusCode::unsupported, "this build of gemlet reads no JPEG pictures", "JPEG");
}

}  // namespace gemlet::image
