// gemlet encode: what a picture becomes on its way to the prompt, for comparing with other
// implementations.
#include <vector>

#include "core/files/mapped_file.h"
#include "frontends/cli/commands.h"
#include "frontends/cli/npy.h"
#include "frontends/cli/open_model.h"

namespace gemlet {
namespace {

Status write_rows(const std::string& path, const std::vector<float>& values, size_t n_rows) {
    const size_t width = n_rows == 0 ? 0 : values.size() / n_rows;
    Result<NpyWriter> writer = NpyWriter::create(path, n_rows, width, false);
    GEMLET_TRY(writer);
    for (size_t row = 0; row < n_rows; ++row) writer->write_row(values.data() + row * width);
    return writer->finish();
}

}  // namespace

Failure encode_command(const Options& options) {
    Failure failure;
    EngineOptions settings = engine_options(options);
    if (settings.context == 0) settings.context = kMaxSoftTokens;  // nothing is prefilled
    const std::unique_ptr<Engine> engine = open_engine(options, settings, failure);
    if (engine == nullptr) return failure;
    PictureEncoder pictures(*engine, picture_options(options));
    std::string file = options.images.front();
    const Result<MappedFile> bytes = MappedFile::open(file);
    if (!bytes) return {bytes.error(), file};
    const Result<PatchGrid> grid = pictures.patches(bytes->bytes(), file);
    if (!grid) return {grid.error(), file};
    if (options.stage == "patches") return write_rows(options.out, grid->values, grid->n_patches());
    const Result<VisionEncoder*> encoder = pictures.encoder(file);
    if (!encoder) return {encoder.error(), file};
    std::vector<float> soft(grid->n_soft_tokens * engine->config().d_model);
    std::vector<float> encoded;
    if (options.stage == "encoder") {
        encoded.resize(grid->n_soft_tokens * (*encoder)->config().width);
    }
    const Result<size_t> n = (*encoder)->encode(*grid, soft, encoded);
    if (!n) return {n.error(), options.images.front()};
    return write_rows(options.out, encoded.empty() ? soft : encoded, *n);
}

}  // namespace gemlet
