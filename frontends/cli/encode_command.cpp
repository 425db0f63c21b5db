// gemlet encode: what a picture or a sound becomes on its way to the prompt, for comparing with
// other implementations.
#include <vector>

#include "core/files/mapped_file.h"
#include "frontends/cli/commands.h"
#include "frontends/cli/npy.h"
#include "frontends/cli/open_model.h"

namespace gemlet {
namespace {

Failure wrong_stage(const char* text) {
    Failure failure(Status(StatusCode::bad_argument, text, "--stage"));
    failure.exit_code = 2;
    return failure;
}

Status write_rows(const std::string& path, const std::vector<float>& values, size_t n_rows) {
    const size_t width = n_rows == 0 ? 0 : values.size() / n_rows;
    Result<NpyWriter> writer = NpyWriter::create(path, n_rows, width, false);
    GEMLET_TRY(writer);
    for (size_t row = 0; row < n_rows; ++row) writer->write_row(values.data() + row * width);
    return writer->finish();
}

Failure encode_picture(const Options& options, Engine& engine) {
    if (options.stage == "mel") return wrong_stage("a picture has no mel frames");
    PictureEncoder pictures(engine, picture_options(options));
    std::string file = options.images.front();
    const Result<MappedFile> bytes = MappedFile::open(file);
    if (!bytes) return {bytes.error(), file};
    const Result<PatchGrid> grid = pictures.patches(bytes->bytes(), file);
    if (!grid) return {grid.error(), file};
    if (options.stage == "patches") return write_rows(options.out, grid->values, grid->n_patches());
    const Result<VisionEncoder*> encoder = pictures.encoder(file);
    if (!encoder) return {encoder.error(), file};
    std::vector<float> soft(grid->n_soft_tokens * engine.config().d_model);
    std::vector<float> encoded;
    if (options.stage == "encoder") {
        encoded.resize(grid->n_soft_tokens * (*encoder)->config().width);
    }
    const Result<size_t> n = (*encoder)->encode(*grid, soft, encoded);
    if (!n) return {n.error(), options.images.front()};
    return write_rows(options.out, encoded.empty() ? soft : encoded, *n);
}

Failure encode_sound(const Options& options, Engine& engine) {
    if (options.stage == "patches") return wrong_stage("a sound has no patches");
    SoundEncoder sounds(engine, sound_options(options));
    std::string file = options.audios.front();
    const Result<MappedFile> bytes = MappedFile::open(file);
    if (!bytes) return {bytes.error(), file};
    const Result<SoundFrames> frames = sounds.frames(bytes->bytes(), file);
    if (!frames) return {frames.error(), file};
    if (options.stage == "mel") return write_rows(options.out, frames->values, frames->n);
    const Result<AudioEncoder*> encoder = sounds.encoder(file);
    if (!encoder) return {encoder.error(), file};
    const AudioConfig& config = (*encoder)->config();
    const size_t n_soft = config.soft_tokens(frames->n);
    std::vector<float> soft(n_soft * config.text_width);
    std::vector<float> encoded;
    if (options.stage == "encoder") encoded.resize(n_soft * config.output_width);
    const Result<size_t> n = (*encoder)->encode(frames->values, frames->n, soft, encoded);
    if (!n) return {n.error(), options.audios.front()};
    return write_rows(options.out, encoded.empty() ? soft : encoded, *n);
}

}  // namespace

Failure encode_command(const Options& options) {
    Failure failure;
    EngineOptions settings = engine_options(options);
    if (settings.context == 0) settings.context = kMaxSoftTokens;  // nothing is prefilled
    const std::unique_ptr<Engine> engine = open_engine(options, settings, failure);
    if (engine == nullptr) return failure;
    return options.audios.empty() ? encode_picture(options, *engine)
                                  : encode_sound(options, *engine);
}

}  // namespace gemlet
