// The two containers say the same things in different places; here they meet.
#include "frontends/text/text_files.h"

#include <sys/stat.h>

#include <cmath>
#include <optional>

#include "core/files/mapped_file.h"
#include "core/guard.h"
#include "core/json.h"
#include "core/model/config.h"

namespace gemlet {
namespace {

constexpr size_t kMaxFileBytes = size_t{16} << 20U;

// Nothing where there is no such file.
Result<std::optional<std::string>> read_optional(const std::string& directory, const char* name) {
    const Result<MappedFile> file = MappedFile::open(directory + "/" + name);
    if (!file) {
        if (file.error().code() == StatusCode::not_found) return std::optional<std::string>();
        return file.error();
    }
    if (file->bytes().size() > kMaxFileBytes) {
        return Status(StatusCode::unsupported, "file is too large", name);
    }
    return std::optional<std::string>(
        std::in_place, reinterpret_cast<const char*>(file->bytes().data()), file->bytes().size());
}

// A null value where there is no such file.
Result<Json> read_optional_json(const std::string& directory, const char* name) {
    const Result<std::optional<std::string>> text = read_optional(directory, name);
    GEMLET_TRY(text);
    if (!text->has_value()) return Json();
    Result<Json> parsed = parse_json(**text, DuplicateKeys::last_wins);
    if (parsed) return parsed;
    return Status(StatusCode::corrupt, "not JSON", name, parsed.error().number());
}

// By what only these sizes have; the chat format asks for no more.
chat::ModelSize size_of(const ModelConfig& config) {
    if (config.ple_width > 0) return chat::ModelSize::e2b;
    if (config.n_experts > 0) return chat::ModelSize::a4b_26b;
    constexpr size_t kLayersOf31B = 60;
    if (config.n_layers == kLayersOf31B) return chat::ModelSize::dense_31b;
    return chat::ModelSize::other;
}

Result<std::string> template_of_directory(const std::string& path) {
    Result<std::optional<std::string>> file = read_optional(path, "chat_template.jinja");
    GEMLET_TRY(file);
    if (file->has_value()) return std::move(**file);
    const Result<Json> config = read_optional_json(path, "tokenizer_config.json");
    GEMLET_TRY(config);
    const Json* text = config->find("chat_template");
    return text != nullptr && text->is_string() ? text->text : std::string();
}

std::string template_of_gguf(const GgufFile& file) {
    const GgufValue* value = file.find("tokenizer.chat_template");
    const auto text = value != nullptr ? value->as_string() : std::nullopt;
    return text ? std::string(*text) : std::string();
}

void set_number(const std::optional<double>& value, float& setting) {
    if (value) setting = static_cast<float>(*value);
}

void set_count(const std::optional<double>& value, size_t& setting) {
    constexpr double kMost = 1e9;
    if (value && std::isfinite(*value)) {
        setting = *value > 0 ? static_cast<size_t>(std::min(*value, kMost)) : 0;
    }
}

SamplerOptions sampling_of_gguf(const GgufFile& file) {
    const auto number = [&](const char* key) {
        const GgufValue* value = file.find(key);
        return value != nullptr ? value->as_number() : std::nullopt;
    };
    SamplerOptions options;
    set_number(number("general.sampling.temp"), options.temperature);
    set_number(number("general.sampling.top_p"), options.top_p);
    set_number(number("general.sampling.min_p"), options.min_p);
    set_count(number("general.sampling.top_k"), options.top_k);
    return options;
}

SamplerOptions sampling_of(const Json& config) {
    const auto number = [&](const char* key) {
        const Json* value = config.find(key);
        return value != nullptr && value->is_number() ? std::optional(value->number) : std::nullopt;
    };
    SamplerOptions options;
    set_number(number("temperature"), options.temperature);
    set_number(number("top_p"), options.top_p);
    set_number(number("min_p"), options.min_p);
    set_number(number("repetition_penalty"), options.repetition_penalty);
    set_count(number("top_k"), options.top_k);
    const Json* samples = config.find("do_sample");
    if (samples != nullptr && samples->is_bool() && !samples->boolean) options.temperature = 0;
    return options;
}

}  // namespace

Result<TextFiles> TextFiles::open(const std::string& path) {
    TextFiles files;
    files.path_ = path;
    struct stat info = {};
    if (stat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode)) return files;
    Result<GgufFile> file = GgufFile::open(path);
    GEMLET_TRY(file);
    files.gguf_ = std::make_shared<const GgufFile>(std::move(*file));
    return files;
}

TextFiles TextFiles::of(const GgufFile& file, const std::string& path) {
    TextFiles files;
    files.path_ = path;
    files.gguf_ = std::shared_ptr<const GgufFile>(std::shared_ptr<const GgufFile>(), &file);
    return files;
}

Result<Tokenizer> TextFiles::tokenizer() const {
    return gguf_ != nullptr ? tokenizer_from_gguf(*gguf_) : tokenizer_from_directory(path_);
}

Result<chat::TemplateChoice> TextFiles::chat_template() const {
    chat::ModelSize size = chat::ModelSize::other;
    if (gguf_ != nullptr) {
        const Result<ModelConfig> config = config_from_gguf(*gguf_);
        if (config) size = size_of(*config);
        return chat::template_kind_for(size, template_of_gguf(*gguf_));
    }
    const Result<Json> document = read_optional_json(path_, "config.json");
    GEMLET_TRY(document);
    const Result<ModelConfig> config = config_from_json(*document);
    if (config) size = size_of(*config);
    const Result<std::string> text = template_of_directory(path_);
    GEMLET_TRY(text);
    return chat::template_kind_for(size, *text);
}

Result<SamplerOptions> TextFiles::sampling() const {
    SamplerOptions options;
    if (gguf_ != nullptr) {
        options = sampling_of_gguf(*gguf_);
    } else {
        const Result<Json> config = read_optional_json(path_, "generation_config.json");
        GEMLET_TRY(config);
        options = sampling_of(*config);
    }
    GEMLET_TRY(check_sampler_options(options));
    return options;
}

}  // namespace gemlet
