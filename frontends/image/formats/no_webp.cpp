// Stands in where the library for WebP files is left out.
#include "frontends/image/formats/format_readers.h"

namespace gemlet::image {

Result<StoredPicture> read_webp(std::span<const uint8_t> /*bytes*/,
                                const PictureLimits& /*limits*/) {
    return Status(StatusCode::unsupported, "this build of gemlet reads no WebP pictures", "WebP");
}

}  // namespace gemlet::image
