// The names on the command line are the names everywhere; here they become values.
#include "frontends/cli/open_model.h"

namespace gemlet {
namespace {

TowerPrecision precision_of(const std::string& name) {
    if (name == "f32") return TowerPrecision::in_float;
    if (name == "int8") return TowerPrecision::int8;
    return TowerPrecision::automatic;
}

}  // namespace

EngineOptions engine_options(const Options& options, std::optional<KvType> default_kv) {
    EngineOptions engine;
    engine.n_threads = options.threads;
    if (!options.isa.empty()) engine.isa_cap = isa_from_name(options.isa);
    engine.context = options.context;
    engine.kv_type = default_kv;
    if (options.kv == "f32") engine.kv_type = KvType::f32;
    if (options.kv == "f16") engine.kv_type = KvType::f16;
    if (options.kv == "int8") engine.kv_type = KvType::i8;
    engine.chunk = options.chunk;
    engine.ple_in_memory = options.ple == "ram";
    engine.float_activations = options.precision == "f32";
    engine.memory_limit_bytes = options.memory_bytes;
    return engine;
}

std::unique_ptr<Engine> open_engine(const Options& options, const EngineOptions& engine,
                                    Failure& failure) {
    std::string file;
    Result<std::unique_ptr<Engine>> opened = Engine::open(options.model, engine, &file);
    if (!opened.has_value()) {
        failure = Failure(opened.error(), file);
        return nullptr;
    }
    return std::move(*opened);
}

PictureOptions picture_options(const Options& options) {
    PictureOptions pictures;
    pictures.mmproj = options.mmproj;
    pictures.budget = options.budget;
    pictures.frame_budget = options.frame_budget;
    pictures.precision = precision_of(options.vision_precision);
    pictures.limits.max_pixels = options.max_megapixels * 1'000'000;
    return pictures;
}

SoundOptions sound_options(const Options& options) {
    SoundOptions sounds;
    sounds.mmproj = options.mmproj;
    sounds.precision = precision_of(options.audio_precision);
    return sounds;
}

std::vector<MediaSource> media_sources(const Options& options) {
    std::vector<MediaSource> sources;
    for (const MediaOption& given : options.media) {
        chat::MediaKind kind = chat::MediaKind::image;
        if (given.option == "--video") kind = chat::MediaKind::video;
        if (given.option == "--audio") kind = chat::MediaKind::audio;
        sources.push_back({kind, given.path});
    }
    return sources;
}

Result<Tokenizer> open_tokenizer(const Checkpoint& checkpoint) {
    if (const GgufFile* file = checkpoint.gguf()) return tokenizer_from_gguf(*file);
    return tokenizer_from_directory(checkpoint.path());
}

}  // namespace gemlet
