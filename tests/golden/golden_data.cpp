#include "tests/golden/golden_data.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <filesystem>

namespace gemlet::test {
namespace {

constexpr GoldenModel kModels[] = {
    {"e2b-tiny", "bf16", "model-bf16.gguf", false},
    {"e2b-tiny", "q4_0", "q4_0.gguf", true},
    {"e4b-tiny", "bf16", "model-bf16.gguf", false},
    {"dense-31b-tiny", "bf16", "model-bf16.gguf", false},
    {"moe-26b-tiny", "bf16", "model-bf16.gguf", false},
    {"moe-26b-tiny", "q4_0", "q4_0.gguf", true},
    {"unified-12b-tiny", "bf16", "model-bf16.gguf", false},
    {"e2b-quant-tiny", "q4_0", "q4_0.gguf", true},
    {"e2b-quant-tiny", "q5_0", "q5_0.gguf", true},
    {"e2b-quant-tiny", "q8_0", "q8_0.gguf", true},
    {"e2b-quant-tiny", "q2_0", "q2_0.gguf", true},
    {"e2b-quant-tiny", "q2_k", "q2_k.gguf", true},
    {"e2b-quant-tiny", "q4_k_m", "q4_k_m.gguf", true},
    {"e2b-quant-tiny", "q6_k", "q6_k.gguf", true},
    {"e2b-quant-tiny", "iq4_nl", "iq4_nl.gguf", true},
    {"e2b-quant-tiny", "iq4_xs", "iq4_xs.gguf", true},
};

const std::string kCopies = GEMLET_TEST_DATA "/golden/";

std::string if_exists(std::string path) {
    return std::filesystem::exists(path) ? std::move(path) : std::string();
}

}  // namespace

std::span<const GoldenModel> golden_models() { return kModels; }

std::string golden_name(const GoldenModel& model) {
    std::string name = std::string(model.folder) + "_" + model.variant;
    std::replace(name.begin(), name.end(), '-', '_');
    return name;
}

std::string shared_path(const std::string& relative) {
    return if_exists(std::string(GEMLET_SHARED_DATA "/") + relative);
}

std::string golden_model_path(const GoldenModel& model) {
    const std::string relative = std::string(model.folder) + "/" + model.file;
    std::string path = shared_path("data/fixtures/" + relative);
    return path.empty() ? if_exists(kCopies + relative) : path;
}

std::string golden_qat_path() {
    std::string path = shared_path("data/fixtures-qat/checkpoint");
    return path.empty() ? kCopies + "qat/checkpoint" : path;
}

Goldens::Goldens(const std::string& folder, const std::string& file) {
    auto opened = SafetensorsFiles::open_file(kCopies + folder + "/" + file);
    if (opened) {
        files_ = std::move(*opened);
    } else {
        ADD_FAILURE() << opened.error().message();
    }
}

bool Goldens::has(const std::string& name) const {
    return files_ && files_->tensor(name) != nullptr;
}

template <class T>
std::vector<T> Goldens::read(const std::string& name, RawType raw) const {
    const TensorView* tensor = files_ ? files_->tensor(name) : nullptr;
    if (tensor == nullptr || tensor->raw != raw || tensor->bytes.size() % sizeof(T) != 0) {
        ADD_FAILURE() << name << " is missing or of another type";
        return {};
    }
    std::vector<T> out(tensor->bytes.size() / sizeof(T));
    std::memcpy(out.data(), tensor->bytes.data(), tensor->bytes.size());
    return out;
}

std::vector<float> Goldens::floats(const std::string& name) const {
    return read<float>(name, RawType::weight);
}
std::vector<int32_t> Goldens::ints(const std::string& name) const {
    return read<int32_t>(name, RawType::i32);
}
std::vector<int8_t> Goldens::codes(const std::string& name) const {
    return read<int8_t>(name, RawType::i8);
}
std::vector<uint8_t> Goldens::bytes(const std::string& name) const {
    return read<uint8_t>(name, RawType::u8);
}

}  // namespace gemlet::test
