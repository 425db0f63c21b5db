// The small files are copied as they are; only config.json says something new.
#include "quant/convert/mobile_folder.h"

#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <utility>

#include "quant/convert/mobile.h"

namespace gemlet {

NewFolder::NewFolder(std::string path, bool resume)
    : path_(std::move(path)), partial_(path_ + ".partial"), resume_(resume) {}

NewFolder::~NewFolder() {
    std::error_code ignored;
    if (made_ && !resume_) std::filesystem::remove_all(partial_, ignored);
}

Status NewFolder::make() {
    struct stat facts {};
    if (stat(path_.c_str(), &facts) == 0) {
        return {StatusCode::io, "is there already", path_};
    }
    std::error_code error;
    if (resume_ && std::filesystem::is_directory(partial_, error)) return {};
    std::filesystem::remove_all(partial_, error);
    if (!std::filesystem::create_directory(partial_, error)) {
        return {StatusCode::io, "folder cannot be made", path_};
    }
    made_ = true;
    return {};
}

Status NewFolder::finish() {
    std::error_code error;
    std::filesystem::rename(partial_, path_, error);
    if (error) return {StatusCode::io, "folder cannot be given its name", path_};
    made_ = false;
    return {};
}

Status write_small_files(const Checkpoint& source, const Scheme& scheme, const NewFolder& folder) {
    for (const auto& entry : std::filesystem::directory_iterator(source.path())) {
        const std::string name = entry.path().filename().string();
        const std::string end = entry.path().extension().string();
        const bool wanted = (end == ".json" || end == ".jinja" || end == ".model") &&
                            name != "config.json" && name != "model.safetensors.index.json";
        if (!wanted || !entry.is_regular_file()) continue;
        std::error_code error;
        std::filesystem::copy_file(entry.path(), folder.file(name),
                                   std::filesystem::copy_options::overwrite_existing, error);
        if (error) return {StatusCode::io, "cannot be copied", name, error.value()};
    }
    std::ofstream out(folder.file("config.json"), std::ios::binary);
    out << write_json(mobile_config(source.config_json(), scheme, source.config())) << '\n';
    out.close();
    if (!out) return {StatusCode::io, "cannot be written", "config.json"};
    return {};
}

}  // namespace gemlet
