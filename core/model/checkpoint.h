// A checkpoint as people have it: a Hugging Face directory or a GGUF file, opened and described,
// tensors found by the role they play whatever the container calls them.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <variant>

#include "core/files/gguf.h"
#include "core/files/safetensors.h"
#include "core/json.h"
#include "core/model/config.h"
#include "core/status.h"

namespace gemlet {

/// An opened checkpoint. Immutable; the tensors' bytes live as long as it does.
class Checkpoint {
  public:
    /// Opens a directory or a .gguf file. `fault_file`, when given, receives the path of the file
    /// that an error is about.
    static Result<Checkpoint> open(const std::string& path, std::string* fault_file = nullptr);

    const ModelConfig& config() const { return config_; }
    const std::string& path() const { return path_; }
    bool is_gguf() const { return std::holds_alternative<GgufFile>(files_); }
    const GgufFile* gguf() const { return std::get_if<GgufFile>(&files_); }
    /// config.json; null value for GGUF.
    const Json& config_json() const { return config_json_; }

    /// Finds a tensor by its Hugging Face name below the language model
    /// ("layers.0.mlp.up_proj.weight", "embed_tokens.weight"; "lm_head.weight" for an untied head).
    /// Null when absent.
    const TensorView* find(std::string_view name) const;
    /// The tensor's name in the file itself, for messages.
    std::string file_name_of(std::string_view name) const;
    /// Path of the file that holds a tensor.
    const std::string& path_of(const TensorView& tensor) const;
    size_t mapped_bytes() const;
    /// All tensors of all files, sorted by name.
    std::span<const TensorView> tensors() const;

  private:
    std::variant<SafetensorsFiles, GgufFile> files_;
    ModelConfig config_;
    Json config_json_;
    std::string path_;
    std::string prefix_;  // safetensors: what stands before the language model's names
};

/// GGUF name of a Hugging Face tensor name below the language model. Empty when there is none.
std::string gguf_tensor_name(std::string_view name);
/// The inverse. Empty when there is none.
std::string hugging_face_tensor_name(std::string_view name);

}  // namespace gemlet
