// GGUF files: parses, then reads every value in every way and every tensor's bytes.
#include <cstddef>
#include <cstdint>

#include "core/files/gguf_parse.h"

namespace {

// Where sums go, so that the reads behind them are not optimised away.
volatile uint64_t sink;

void read_value(const gemlet::GgufValue& value) {
    uint64_t sum = value.key.size();
    sum += value.as_integer() ? 1U : 0U;
    sum += value.as_number() ? 1U : 0U;
    sum += value.as_bool() ? 1U : 0U;
    if (const auto text = value.as_string()) {
        for (const char c : *text) sum += static_cast<uint8_t>(c);
    }
    if (const auto integers = value.as_integers()) sum += integers->size();
    if (const auto numbers = value.as_numbers()) sum += numbers->size();
    if (const auto texts = value.as_strings()) {
        for (const auto text : *texts) {
            for (const char c : text) sum += static_cast<uint8_t>(c);
        }
    }
    sink = sum;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    const auto directory = gemlet::parse_gguf({data, size}, "file", 0);
    if (!directory) {
        sink = directory.error().message().size();
        return 0;
    }
    for (const auto& value : directory->values) read_value(value);
    for (const auto& tensor : directory->tensors) {
        uint64_t sum = tensor.n_elements();
        for (const uint8_t byte : tensor.bytes) sum += byte;
        sink = sum;
        // Names are unique, so looking one up must give this very tensor.
        if (gemlet::find_tensor(directory->tensors, tensor.name) != &tensor) __builtin_trap();
    }
    return 0;
}
