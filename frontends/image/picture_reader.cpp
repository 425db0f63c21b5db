// Chooses the reader and does what all formats have in common.
#include "frontends/image/picture_reader.h"

#include <utility>

#include "core/files/mapped_file.h"
#include "core/guard.h"
#include "frontends/image/formats/format_readers.h"
#include "frontends/image/formats/picture_format.h"

namespace gemlet::image {
namespace {

Result<StoredPicture> read_stored(std::span<const uint8_t> bytes, const PictureLimits& limits) {
    if (bytes.empty()) return Status(StatusCode::corrupt, "the picture has no bytes");
    const FormatGuess guess = picture_format_of(bytes);
    switch (guess.format) {
        case PictureFormat::jpeg:
            return read_jpeg(bytes, limits);
        case PictureFormat::png:
            return read_png(bytes, limits);
        case PictureFormat::webp:
            return read_webp(bytes, limits);
        case PictureFormat::bmp:
            return read_bmp(bytes, limits);
        case PictureFormat::gif:
            return read_gif(bytes, limits);
        case PictureFormat::netpbm:
            return read_netpbm(bytes, limits);
        case PictureFormat::foreign:
            return Status(StatusCode::unsupported,
                          "pictures of this format are not read; JPEG, PNG, WebP, GIF, BMP and "
                          "binary Netpbm are",
                          guess.name);
        default:
            return Status(StatusCode::unsupported,
                          "not a picture in a format known here (JPEG, PNG, WebP, GIF, BMP, binary "
                          "Netpbm)");
    }
}

}  // namespace

Status check_picture_size(uint64_t width, uint64_t height, const PictureLimits& limits,
                          const char* format) {
    if (width == 0 || height == 0) {
        return Status(StatusCode::corrupt, "the picture has a side of 0 pixels", format);
    }
    const uint64_t side = width > height ? width : height;
    if (side > limits.max_side) {
        return Status(StatusCode::bad_argument, "a side of the picture has too many pixels", format,
                      static_cast<int64_t>(side));
    }
    if (width > limits.max_pixels / height) {
        return Status(StatusCode::bad_argument, "the picture has more pixels than the limit",
                      format, static_cast<int64_t>(width * height));
    }
    return {};
}

Result<Picture> read_picture(std::span<const uint8_t> bytes, const PictureLimits& limits) {
    return guard([&]() -> Result<Picture> {
        Result<StoredPicture> stored = read_stored(bytes, limits);
        GEMLET_TRY(stored);
        if (stored->n_channels == 4) lay_over_white(stored->pixels);
        Picture picture = {stored->width, stored->height, std::move(stored->pixels)};
        turn_upright(picture, stored->orientation);
        return picture;
    });
}

Result<Picture> read_picture_file(const std::string& path, const PictureLimits& limits) {
    const Result<MappedFile> file = MappedFile::open(path);
    GEMLET_TRY(file);
    return read_picture(file->bytes(), limits);
}

}  // namespace gemlet::image
