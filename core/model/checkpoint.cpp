// Opening: the path decides the container, config.json or the metadata the architecture, and the
// place of embed_tokens the prefix that all other text tensors share.
#include "core/model/checkpoint.h"

#include <sys/stat.h>

#include <array>

namespace gemlet {
namespace {

constexpr std::array<const char*, 5> kPrefixes = {"model.language_model.", "language_model.model.",
                                                  "language_model.", "model.", ""};
constexpr std::array<const char*, 2> kEmbeddings = {"embed_tokens.weight",
                                                    "embed_tokens.embedding_quantized"};

bool is_directory(const std::string& path) {
    struct stat facts {};
    return stat(path.c_str(), &facts) == 0 && S_ISDIR(facts.st_mode);
}

Result<Json> read_json_file(const std::string& path) {
    Result<MappedFile> file = MappedFile::open(path);
    GEMLET_TRY(file);
    const std::span<const uint8_t> bytes = file->bytes();
    return parse_json({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
}

}  // namespace

Result<Checkpoint> Checkpoint::open(const std::string& path, std::string* fault_file) {
    std::string unused;
    std::string& fault = fault_file != nullptr ? *fault_file : unused;
    Checkpoint checkpoint;
    checkpoint.path_ = path;
    fault = path;
    if (!is_directory(path)) {
        Result<GgufFile> file = GgufFile::open(path);
        GEMLET_TRY(file);
        Result<ModelConfig> config = config_from_gguf(*file);
        GEMLET_TRY(config);
        checkpoint.files_ = std::move(*file);
        checkpoint.config_ = std::move(*config);
        return checkpoint;
    }
    fault = path + "/config.json";
    Result<Json> document = read_json_file(fault);
    GEMLET_TRY(document);
    Result<ModelConfig> config = config_from_json(*document);
    GEMLET_TRY(config);
    fault = path;
    Result<SafetensorsFiles> files = SafetensorsFiles::open_directory(path);
    GEMLET_TRY(files);
    checkpoint.config_ = std::move(*config);
    checkpoint.config_json_ = std::move(*document);
    checkpoint.files_ = std::move(*files);
    for (const char* prefix : kPrefixes) {
        for (const char* embedding : kEmbeddings) {
            const auto& tensors = std::get<SafetensorsFiles>(checkpoint.files_);
            if (tensors.tensor(std::string(prefix) + embedding) != nullptr) {
                checkpoint.prefix_ = prefix;
                return checkpoint;
            }
        }
    }
    return Status(StatusCode::not_found, "tensor is missing: no text model in these files",
                  kEmbeddings[0]);
}

std::string Checkpoint::file_name_of(std::string_view name) const {
    if (is_gguf()) return gguf_tensor_name(name);
    if (name.substr(0, 7) == "lm_head") return std::string(name);
    return prefix_ + std::string(name);
}

const TensorView* Checkpoint::find(std::string_view name) const {
    const std::string in_file = file_name_of(name);
    if (const GgufFile* file = gguf()) return file->tensor(in_file);
    const auto& files = std::get<SafetensorsFiles>(files_);
    const TensorView* tensor = files.tensor(in_file);
    // An untied head may also stand below the prefix.
    if (tensor == nullptr && name.substr(0, 7) == "lm_head") {
        tensor = files.tensor(prefix_ + in_file);
    }
    return tensor;
}

const std::string& Checkpoint::path_of(const TensorView& tensor) const {
    const auto files = is_gguf() ? gguf()->files() : std::get<SafetensorsFiles>(files_).files();
    return files[tensor.file_index].path();
}

std::span<const TensorView> Checkpoint::tensors() const {
    return is_gguf() ? gguf()->tensors() : std::get<SafetensorsFiles>(files_).tensors();
}

size_t Checkpoint::mapped_bytes() const {
    const auto files = is_gguf() ? gguf()->files() : std::get<SafetensorsFiles>(files_).files();
    size_t total = 0;
    for (const MappedFile& file : files) total += file.bytes().size();
    return total;
}

}  // namespace gemlet
