// GIF through giflib: the first picture of the file; what moves after it is not looked at. The
// picture is a rectangle on a screen; what it leaves free is the transparent colour, or else the
// first, as in Pillow.
#include <gif_lib.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <memory>

#include "frontends/image/formats/format_readers.h"

namespace gemlet::image {
namespace {

constexpr const char* kFormat = "GIF";

Status damaged() { return {StatusCode::corrupt, "the picture contradicts its format", kFormat}; }

/// What the library reads from.
struct Source {
    std::span<const uint8_t> bytes;
    bool ended = false;

    /// What went wrong, after the library has refused.
    Status fault() const {
        if (!ended) return damaged();
        return {StatusCode::corrupt, "the picture ends before its data does", kFormat};
    }
};

int read_bytes(GifFileType* file, GifByteType* to, int n) {
    auto& source = *static_cast<Source*>(file->UserData);
    const size_t n_wanted = static_cast<size_t>(std::max(n, 0));
    if (n_wanted > source.bytes.size()) {
        source.ended = true;
        return 0;
    }
    std::copy_n(source.bytes.data(), n_wanted, to);
    source.bytes = source.bytes.subspan(n_wanted);
    return n;
}

void close(GifFileType* file) { DGifCloseFile(file, nullptr); }
using File = std::unique_ptr<GifFileType, decltype(&close)>;

/// Steps over what stands before the first picture. Returns whether there is one; `transparent` is
/// the index of that colour, or stays.
bool find_picture(GifFileType* file, int& transparent) {
    for (;;) {
        GifRecordType kind = UNDEFINED_RECORD_TYPE;
        if (DGifGetRecordType(file, &kind) == GIF_ERROR) return false;
        if (kind == IMAGE_DESC_RECORD_TYPE) return DGifGetImageDesc(file) == GIF_OK;
        if (kind != EXTENSION_RECORD_TYPE) return false;
        int code = 0;
        GifByteType* block = nullptr;  // its length, then its bytes
        if (DGifGetExtension(file, &code, &block) == GIF_ERROR) return false;
        if (code == GRAPHICS_EXT_FUNC_CODE && block != nullptr) {
            GraphicsControlBlock control;
            if (DGifExtensionToGCB(block[0], block + 1, &control) == GIF_ERROR) return false;
            transparent = control.TransparentColor;
        }
        while (block != nullptr) {
            if (DGifGetExtensionNext(file, &block) == GIF_ERROR) return false;
        }
    }
}

/// Decodes the picture's rows, which stand in four passes when they are interlaced, into the screen
/// [height, width] of colour indices.
bool read_indices(GifFileType* file, std::span<uint8_t> screen) {
    constexpr std::array<std::array<int, 2>, 4> kPasses = {{{0, 8}, {4, 8}, {2, 4}, {1, 2}}};
    constexpr std::array<std::array<int, 2>, 1> kInOrder = {{{0, 1}}};
    const GifImageDesc& picture = file->Image;
    const auto passes = picture.Interlace ? std::span<const std::array<int, 2>>(kPasses) : kInOrder;
    for (const auto& [first, step] : passes) {
        for (int y = first; y < picture.Height; y += step) {
            const size_t row = static_cast<size_t>(picture.Top) + static_cast<size_t>(y);
            uint8_t* to = &screen[row * static_cast<size_t>(file->SWidth) +
                                  static_cast<size_t>(picture.Left)];
            if (DGifGetLine(file, to, picture.Width) == GIF_ERROR) return false;
        }
    }
    return true;
}

Status paint(const ColorMapObject* palette, int transparent, std::span<const uint8_t> indices,
             StoredPicture& picture) {
    const int n_colors = palette == nullptr ? 0 : palette->ColorCount;
    uint8_t* out = picture.pixels.data();
    for (const uint8_t index : indices) {
        const bool is_clear = index == transparent;
        if (!is_clear && index >= n_colors) return damaged();
        const GifColorType color = is_clear ? GifColorType{} : palette->Colors[index];
        const std::array<uint8_t, 4> pixel = {color.Red, color.Green, color.Blue,
                                              static_cast<uint8_t>(is_clear ? 0 : 255)};
        out = std::copy_n(pixel.data(), picture.n_channels, out);
    }
    return {};
}

}  // namespace

Result<StoredPicture> read_gif(std::span<const uint8_t> bytes, const PictureLimits& limits) {
    Source source{bytes};
    int error = 0;
    const File opened(DGifOpen(&source, read_bytes, &error), &close);
    GifFileType* file = opened.get();
    if (file == nullptr) return source.fault();
    StoredPicture picture;
    picture.width = static_cast<size_t>(file->SWidth);
    picture.height = static_cast<size_t>(file->SHeight);
    GEMLET_TRY(check_picture_size(picture.width, picture.height, limits, kFormat));
    int transparent = NO_TRANSPARENT_COLOR;
    if (!find_picture(file, transparent)) return source.fault();
    const GifImageDesc& part = file->Image;
    if (part.Left < 0 || part.Top < 0 || part.Width <= 0 || part.Height <= 0 ||
        part.Left > file->SWidth - part.Width || part.Top > file->SHeight - part.Height) {
        return damaged();
    }
    std::vector<uint8_t> indices(picture.width * picture.height,
                                 static_cast<uint8_t>(std::max(transparent, 0)));
    if (!read_indices(file, indices)) return source.fault();
    picture.n_channels = transparent == NO_TRANSPARENT_COLOR ? 3 : 4;
    picture.pixels.resize(indices.size() * picture.n_channels);
    const ColorMapObject* palette = part.ColorMap != nullptr ? part.ColorMap : file->SColorMap;
    GEMLET_TRY(paint(palette, transparent, indices, picture));
    return picture;
}

}  // namespace gemlet::image
