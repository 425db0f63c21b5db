// Opens the weights of a Hugging Face directory. A tensor that the index does not mention but a
// shard holds is taken too, as the usual loaders do; the same name in two shards is a fault.
#include "core/files/safetensors.h"

#include <utility>

#include "core/files/byte_reader.h"
#include "core/files/safetensors_parse.h"

namespace gemlet {

Status SafetensorsFiles::add_file(const std::string& path) {
    Result<MappedFile> file = MappedFile::open(path);
    GEMLET_TRY(file);
    Result<std::vector<TensorView>> tensors =
        parse_safetensors(file->bytes(), path, static_cast<uint32_t>(files_.size()));
    GEMLET_TRY(tensors);
    files_.push_back(std::move(*file));
    tensors_.reserve(tensors_.size() + tensors->size());
    for (TensorView& tensor : *tensors) tensors_.push_back(std::move(tensor));
    return {};
}

Status SafetensorsFiles::add_shards(const std::string& directory, const MappedFile& index) {
    const Result<ShardIndex> shards = parse_shard_index(as_text(index.bytes()), index.path());
    GEMLET_TRY(shards);
    for (const std::string& name : shards->files) {
        std::string path = directory;
        path.append("/").append(name);
        GEMLET_TRY(add_file(path));
    }
    GEMLET_TRY(sort_by_name(tensors_));
    for (const auto& [name, file_index] : shards->tensors) {
        const TensorView* tensor = find_tensor(tensors_, name);
        if (tensor == nullptr || tensor->file_index != file_index) {
            return {StatusCode::corrupt, "tensor is not in the file that the index names", name};
        }
    }
    return {};
}

Result<SafetensorsFiles> SafetensorsFiles::open_file(const std::string& path) {
    SafetensorsFiles model;
    GEMLET_TRY(model.add_file(path));
    return model;
}

Result<SafetensorsFiles> SafetensorsFiles::open_directory(const std::string& directory) {
    SafetensorsFiles model;
    const Status single = model.add_file(directory + "/model.safetensors");
    if (single.ok()) return model;
    if (single.code() != StatusCode::not_found) return single;
    const Result<MappedFile> index = MappedFile::open(directory + "/model.safetensors.index.json");
    if (index.error().code() == StatusCode::not_found) {
        return Status(StatusCode::not_found, "no model.safetensors and no index of shards here",
                      directory);
    }
    GEMLET_TRY(index);
    GEMLET_TRY(model.add_shards(directory, *index));
    return model;
}

const TensorView* SafetensorsFiles::tensor(std::string_view name) const {
    return find_tensor(tensors_, name);
}

}  // namespace gemlet
