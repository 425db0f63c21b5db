// A table of beginnings. Those without a reader are in it so that the message can say what the file
// is.
#include "frontends/image/formats/picture_format.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <string_view>

namespace gemlet::image {
namespace {

using namespace std::string_view_literals;

struct Beginning {
    size_t offset;
    std::string_view bytes;
    FormatGuess guess;
};

constexpr FormatGuess foreign(const char* name) { return {PictureFormat::foreign, name}; }

constexpr std::array kBeginnings = {
    Beginning{0, "\xFF\xD8\xFF"sv, {PictureFormat::jpeg, "JPEG"}},
    Beginning{0, "\x89PNG\r\n\x1A\n"sv, {PictureFormat::png, "PNG"}},
    Beginning{8, "WEBP"sv, {PictureFormat::webp, "WebP"}},  // after "RIFF" and a size
    Beginning{0, "P5"sv, {PictureFormat::netpbm, "Netpbm"}},
    Beginning{0, "P6"sv, {PictureFormat::netpbm, "Netpbm"}},
    Beginning{0, "GIF8"sv, {PictureFormat::gif, "GIF"}},
    Beginning{0, "BM"sv, {PictureFormat::bmp, "BMP"}},
    Beginning{0, "II*\0"sv, foreign("TIFF")},
    Beginning{0, "MM\0*"sv, foreign("TIFF")},
    Beginning{0, "II+\0"sv, foreign("BigTIFF")},
    Beginning{0, "MM\0+"sv, foreign("BigTIFF")},
    Beginning{4, "ftypavif"sv, foreign("AVIF")},
    Beginning{4, "ftypavis"sv, foreign("AVIF")},
    Beginning{4, "ftyphei"sv, foreign("HEIC")},
    Beginning{4, "ftyphev"sv, foreign("HEIC")},
    Beginning{4, "ftypmif1"sv, foreign("HEIF")},
    Beginning{4, "ftypmsf1"sv, foreign("HEIF")},
    Beginning{4, "ftyp"sv, foreign("MP4 video")},
    Beginning{0, "\x1A\x45\xDF\xA3"sv, foreign("Matroska video")},
    Beginning{0, "\0\0\0\x0CjP  "sv, foreign("JPEG 2000")},
    Beginning{0, "\xFF\x4F\xFF\x51"sv, foreign("JPEG 2000")},
    Beginning{0, "\0\0\0\x0CJXL "sv, foreign("JPEG XL")},
    Beginning{0, "\xFF\x0A"sv, foreign("JPEG XL")},
    Beginning{0, "8BPS"sv, foreign("Photoshop")},
    Beginning{0, "\0\0\x01\0"sv, foreign("icon")},
    Beginning{0, "%PDF"sv, foreign("PDF")},
    Beginning{0, "<svg"sv, foreign("SVG")},
    Beginning{0, "<?xml"sv, foreign("XML or SVG")},
};

}  // namespace

FormatGuess picture_format_of(std::span<const uint8_t> bytes) {
    const std::string_view text(reinterpret_cast<const char*>(bytes.data()),
                                std::min<size_t>(bytes.size(), 16));
    for (const Beginning& beginning : kBeginnings) {
        if (text.size() < beginning.offset + beginning.bytes.size() ||
            !text.substr(beginning.offset).starts_with(beginning.bytes)) {
            continue;
        }
        if (beginning.guess.format == PictureFormat::webp && !text.starts_with("RIFF")) continue;
        if (beginning.guess.format == PictureFormat::netpbm &&
            text.find_first_of("\t\n\v\f\r #", 2) != 2) {
            continue;
        }
        return beginning.guess;
    }
    return {};
}

}  // namespace gemlet::image
