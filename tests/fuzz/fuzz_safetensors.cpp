// Safetensors files and, from the same bytes, the header alone and the index of a sharded
// checkpoint.
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

#include "core/files/byte_reader.h"
#include "core/files/safetensors_parse.h"

namespace {

volatile uint64_t sink;

void read_file(std::span<const uint8_t> file) {
    const auto tensors = gemlet::parse_safetensors(file, "file", 0);
    if (!tensors) return;
    size_t n_bytes = 0;
    for (const auto& tensor : *tensors) {
        uint64_t sum = tensor.n_elements();
        for (const uint8_t byte : tensor.bytes) sum += byte;
        sink = sum;
        n_bytes += tensor.bytes.size();
        if (gemlet::find_tensor(*tensors, tensor.name) != &tensor) __builtin_trap();
    }
    // They tile what lies behind the header.
    const auto header_bytes = gemlet::load_unaligned<uint64_t>(file.data());
    if (header_bytes + 8 + n_bytes != file.size()) __builtin_trap();
}

// The input as the header of a file with 20 bytes of data. A mutation that changes the length of a
// whole file's header seldom gets past the length field; here it does.
void read_header(std::span<const uint8_t> header) {
    constexpr size_t kDataBytes = 20;
    const uint64_t header_bytes = header.size();
    std::vector<uint8_t> file(sizeof(header_bytes));
    std::memcpy(file.data(), &header_bytes, sizeof(header_bytes));
    file.insert(file.end(), header.begin(), header.end());
    file.resize(file.size() + kDataBytes);
    read_file(file);
}

void read_index(std::span<const uint8_t> json) {
    const auto index = gemlet::parse_shard_index(gemlet::as_text(json), "index");
    if (!index) return;
    for (const auto& [name, file] : index->tensors) {
        if (file >= index->files.size()) __builtin_trap();
        if (index->files[file].find('/') != std::string::npos) __builtin_trap();
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    const std::span<const uint8_t> bytes(data, size);
    read_file(bytes);
    read_header(bytes);
    read_index(bytes);
    return 0;
}
