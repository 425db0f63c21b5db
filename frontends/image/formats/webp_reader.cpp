// WebP through libwebp; of an animation the first frame, as the reference takes it. The size stands
// in the header that the library reads for us before it decodes anything.
#include <webp/decode.h>
#include <webp/demux.h>

#include <algorithm>
#include <cstring>
#include <memory>

#include "core/files/byte_reader.h"
#include "frontends/image/formats/exif.h"
#include "frontends/image/formats/format_readers.h"

namespace gemlet::image {
namespace {

constexpr const char* kFormat = "WebP";
constexpr size_t kFileHeaderBytes = 12;  // "RIFF", size, "WEBP"

Status error_of(VP8StatusCode code) {
    switch (code) {
        case VP8_STATUS_OUT_OF_MEMORY:
            return {StatusCode::out_of_memory, "not enough memory for the picture", kFormat};
        case VP8_STATUS_SUSPENDED:
        case VP8_STATUS_NOT_ENOUGH_DATA:
            return {StatusCode::corrupt, "the picture ends before its data does", kFormat};
        case VP8_STATUS_UNSUPPORTED_FEATURE:
            return {StatusCode::unsupported, "a rare kind of picture that is not read", kFormat};
        default:
            return {StatusCode::corrupt, "the picture's data is damaged", kFormat};
    }
}

unsigned orientation_of(std::span<const uint8_t> bytes) {
    if (bytes.size() < kFileHeaderBytes) return 1;
    ByteReader reader(bytes.subspan(kFileHeaderBytes));
    uint32_t name = 0;
    uint32_t n_bytes = 0;
    std::span<const uint8_t> chunk;
    while (reader.read(name) && reader.read(n_bytes) && reader.take(n_bytes, chunk)) {
        if (std::memcmp(&name, "EXIF", sizeof(name)) == 0) return exif_orientation(chunk);
        uint8_t padding = 0;
        if (n_bytes % 2 != 0 && !reader.read(padding)) break;
    }
    return 1;
}

Status read_still(std::span<const uint8_t> bytes, StoredPicture& picture) {
    WebPDecoderConfig config;
    if (WebPInitDecoderConfig(&config) == 0) return error_of(VP8_STATUS_UNSUPPORTED_FEATURE);
    config.output.colorspace = picture.n_channels == 4 ? MODE_RGBA : MODE_RGB;
    config.output.is_external_memory = 1;
    config.output.u.RGBA.rgba = picture.pixels.data();
    config.output.u.RGBA.size = picture.pixels.size();
    // At most 16383 pixels of 4 bytes: the format holds no more.
    config.output.u.RGBA.stride = static_cast<int>(picture.width * picture.n_channels);
    const VP8StatusCode code = WebPDecode(bytes.data(), bytes.size(), &config);
    return code == VP8_STATUS_OK ? Status() : error_of(code);
}

// The library composes the canvas; the frame may cover only a part of it.
Status read_first_frame(std::span<const uint8_t> bytes, StoredPicture& picture) {
    const WebPData data = {bytes.data(), bytes.size()};
    WebPAnimDecoderOptions options;
    if (WebPAnimDecoderOptionsInit(&options) == 0) return error_of(VP8_STATUS_UNSUPPORTED_FEATURE);
    const std::unique_ptr<WebPAnimDecoder, decltype(&WebPAnimDecoderDelete)> decoder(
        WebPAnimDecoderNew(&data, &options), &WebPAnimDecoderDelete);
    WebPAnimInfo info;
    uint8_t* canvas = nullptr;
    int end_ms = 0;
    if (decoder == nullptr || WebPAnimDecoderGetInfo(decoder.get(), &info) == 0 ||
        info.canvas_width != picture.width || info.canvas_height != picture.height ||
        WebPAnimDecoderGetNext(decoder.get(), &canvas, &end_ms) == 0) {
        return {StatusCode::corrupt, "the animation is damaged", kFormat};
    }
    std::copy_n(canvas, picture.pixels.size(), picture.pixels.begin());
    return {};
}

}  // namespace

Result<StoredPicture> read_webp(std::span<const uint8_t> bytes, const PictureLimits& limits) {
    WebPBitstreamFeatures features;
    const VP8StatusCode code = WebPGetFeatures(bytes.data(), bytes.size(), &features);
    if (code != VP8_STATUS_OK) return error_of(code);
    StoredPicture picture;
    picture.width = static_cast<size_t>(std::max(features.width, 0));
    picture.height = static_cast<size_t>(std::max(features.height, 0));
    GEMLET_TRY(check_picture_size(picture.width, picture.height, limits, kFormat));
    const bool animated = features.has_animation != 0;
    picture.n_channels = animated || features.has_alpha != 0 ? 4 : 3;
    picture.orientation = orientation_of(bytes);
    picture.pixels.resize(picture.width * picture.height * picture.n_channels);
    GEMLET_TRY(animated ? read_first_frame(bytes, picture) : read_still(bytes, picture));
    return picture;
}

}  // namespace gemlet::image
