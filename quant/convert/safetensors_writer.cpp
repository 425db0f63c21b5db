// Eight bytes of length, then JSON, filled up with blanks so that the data begins at a multiple of
// eight. Source: the safetensors format description.
#include "quant/convert/safetensors_writer.h"

#include "core/json.h"

namespace gemlet {
namespace {

constexpr size_t kAlignment = 8;

Json integer(uint64_t value) { return Json::of_integer(static_cast<int64_t>(value)); }

}  // namespace

std::vector<uint8_t> write_safetensors_front(std::vector<SafetensorsTensor>& tensors,
                                             uint64_t& file_bytes) {
    std::string text = "{";
    uint64_t at = 0;
    for (SafetensorsTensor& tensor : tensors) {
        Json entry = Json::object();
        Json shape = Json::array();
        for (const size_t size : tensor.shape) shape.items.push_back(integer(size));
        Json offsets = Json::array();
        offsets.items = {integer(at), integer(at + tensor.n_bytes)};
        entry.set("dtype", Json::of(tensor.dtype)).set("shape", std::move(shape));
        entry.set("data_offsets", std::move(offsets));
        if (text.size() > 1) text += ',';
        text += write_json(Json::of(tensor.name)) + ":" + write_json(entry);
        tensor.offset = at;
        at += tensor.n_bytes;
    }
    text += '}';
    while ((text.size() + 8) % kAlignment != 0) text += ' ';
    std::vector<uint8_t> out;
    for (size_t i = 0; i < 8; ++i) out.push_back(static_cast<uint8_t>(text.size() >> (8 * i)));
    out.insert(out.end(), text.begin(), text.end());
    for (SafetensorsTensor& tensor : tensors) tensor.offset += out.size();
    file_bytes = out.size() + at;
    return out;
}

}  // namespace gemlet
