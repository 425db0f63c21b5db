#include "tests/formats/format_golden.h"

#include <cstring>
#include <fstream>
#include <iterator>

namespace gemlet {
namespace {

constexpr size_t kHeadBytes = 20;

uint32_t field(const std::string& bytes, size_t at) {
    uint32_t value = 0;
    std::memcpy(&value, bytes.data() + at, sizeof value);
    return value;
}

uint64_t next_random(uint64_t& state) {  // splitmix64
    state += 0x9E3779B97F4A7C15ULL;
    uint64_t z = state;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ULL;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBULL;
    return z ^ (z >> 31);
}

}  // namespace

FormatGolden read_format_golden(WeightType type) {
    const std::string path =
        std::string(GEMLET_TEST_DATA) + "/formats/" + weight_type_info(type).name + ".bin";
    std::ifstream file(path, std::ios::binary);
    const std::string bytes{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
    if (bytes.size() < kHeadBytes || bytes.compare(0, 8, "GMLTFMT1") != 0) return {};
    const size_t n_weights = field(bytes, 12);
    const size_t n_bytes = field(bytes, 16);
    if (bytes.size() != kHeadBytes + n_bytes + n_weights * sizeof(float)) return {};
    FormatGolden golden;
    golden.row.resize(n_bytes);
    golden.values.resize(n_weights);
    std::memcpy(golden.row.data(), bytes.data() + kHeadBytes, n_bytes);
    std::memcpy(golden.values.data(), bytes.data() + kHeadBytes + n_bytes,
                n_weights * sizeof(float));
    return golden;
}

std::vector<WeightType> all_weight_types() {
    std::vector<WeightType> types;
    for (size_t i = 0; i < kWeightTypes; ++i) types.push_back(static_cast<WeightType>(i));
    return types;
}

std::vector<WeightType> weight_types_if(bool (*question)(WeightType)) {
    std::vector<WeightType> types;
    for (const WeightType type : all_weight_types()) {
        if (question(type)) types.push_back(type);
    }
    return types;
}

std::string weight_type_name(WeightType type) { return weight_type_info(type).name; }

std::vector<float> noise(uint64_t seed, size_t n) {
    std::vector<float> values(n);
    for (float& value : values) {
        float sum = 0.0F;  // of four uniform numbers in [-1, 1]
        for (int k = 0; k < 4; ++k) {
            sum += static_cast<float>(next_random(seed) >> 40) * 0x1p-23F - 1.0F;
        }
        value = sum;
    }
    return values;
}

std::vector<uint8_t> noise_bytes(uint64_t seed, size_t n) {
    std::vector<uint8_t> bytes(n);
    for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(next_random(seed) >> 56);
    return bytes;
}

}  // namespace gemlet
