// Reads the directory of a GGUF file. Nothing in it is believed: counts are bounded by the bytes
// that remain before anything is allocated from them, sums and products are tested for overflow,
// and every tensor is shown to lie inside the file, on its own, before its bytes are handed out.
#include "core/files/gguf_parse.h"

#include <algorithm>
#include <array>
#include <limits>

#include "core/files/byte_reader.h"

namespace gemlet {
namespace {

constexpr uint32_t kMagic = 0x46554747;  // "GGUF"
constexpr uint64_t kMaxRecords = 65536;  // real files: under 60 keys, under 1,000 tensors
constexpr uint64_t kMaxLength = uint64_t{1} << 30U;  // of strings and arrays, as in ggml
constexpr uint64_t kMaxKeyBytes = 65535;
constexpr uint64_t kMaxNameBytes = 63;
constexpr uint32_t kMaxDims = 4;
constexpr uint64_t kDefaultAlignment = 32;
// The smallest records: one-byte key, type, one-byte value; one-byte name, no dimensions.
constexpr uint64_t kMinValueBytes = 8 + 1 + 4 + 1;
constexpr uint64_t kMinTensorBytes = 8 + 1 + 4 + 4 + 8;

enum class Support : uint8_t { unknown, retired, in_memory, unspecified, raw, weight };

struct TensorType {
    Support support = Support::unknown;
    RawType raw = RawType::weight;
    WeightType type = WeightType::f32;
};

constexpr TensorType weight(WeightType type) { return {Support::weight, RawType::weight, type}; }
constexpr TensorType raw(RawType type) { return {Support::raw, type, WeightType::f32}; }
constexpr TensorType refused(Support why) { return {why, RawType::weight, WeightType::f32}; }

// ggml's type numbers, from 0.
constexpr std::array<TensorType, 43> kTensorTypes = {
    weight(WeightType::f32),        // 0
    weight(WeightType::f16),        // 1
    weight(WeightType::q4_0),       // 2
    weight(WeightType::q4_1),       // 3
    refused(Support::retired),      // 4, Q4_2
    refused(Support::retired),      // 5, Q4_3
    weight(WeightType::q5_0),       // 6
    weight(WeightType::q5_1),       // 7
    weight(WeightType::q8_0),       // 8
    refused(Support::in_memory),    // 9, Q8_1
    weight(WeightType::q2_k),       // 10
    weight(WeightType::q3_k),       // 11
    weight(WeightType::q4_k),       // 12
    weight(WeightType::q5_k),       // 13
    weight(WeightType::q6_k),       // 14
    refused(Support::in_memory),    // 15, Q8_K
    weight(WeightType::iq2_xxs),    // 16
    weight(WeightType::iq2_xs),     // 17
    weight(WeightType::iq3_xxs),    // 18
    refused(Support::unspecified),  // 19, IQ1_S
    weight(WeightType::iq4_nl),     // 20
    weight(WeightType::iq3_s),      // 21
    weight(WeightType::iq2_s),      // 22
    weight(WeightType::iq4_xs),     // 23
    raw(RawType::i8),               // 24
    raw(RawType::i16),              // 25
    raw(RawType::i32),              // 26
    raw(RawType::i64),              // 27
    raw(RawType::f64),              // 28
    refused(Support::unspecified),  // 29, IQ1_M
    weight(WeightType::bf16),       // 30
    refused(Support::retired),      // 31, Q4_0 interleaved by 4 x 4
    refused(Support::retired),      // 32, 4 x 8
    refused(Support::retired),      // 33, 8 x 8
    weight(WeightType::tq1_0),      // 34
    weight(WeightType::tq2_0),      // 35
    refused(Support::retired),      // 36, IQ4_NL interleaved
    refused(Support::retired),      // 37
    refused(Support::retired),      // 38
    weight(WeightType::mxfp4),      // 39
    weight(WeightType::nvfp4),      // 40
    weight(WeightType::q1_0),       // 41
    weight(WeightType::q2_0),       // 42
};

Status check_type(uint32_t id, std::string_view name) {
    const Support support = id < kTensorTypes.size() ? kTensorTypes[id].support : Support::unknown;
    const char* reason = "unknown tensor type";
    switch (support) {
        case Support::raw:
        case Support::weight:
            return {};
        case Support::retired:
            reason = "tensor type was retired; convert the model again";
            break;
        case Support::in_memory:
            reason = "tensor type is for activations and never belongs in a file";
            break;
        case Support::unspecified:
            reason = "tensor type is not supported";
            break;
        case Support::unknown:
            break;
    }
    return {StatusCode::unsupported, reason, name, id};
}

class Parser {
  public:
    Parser(std::span<const uint8_t> file, std::string_view path, uint32_t file_index)
        : file_(file), path_(path), file_index_(file_index), in_(file) {}

    Status run();
    GgufDirectory directory() && { return std::move(directory_); }

  private:
    struct Extent {
        uint64_t offset;  // from the start of the data
        uint64_t n_bytes;
    };

    Status fault(const char* text) const {
        return {StatusCode::corrupt, text, path_, static_cast<int64_t>(in_.position())};
    }
    static Status key_fault(const GgufValue& value, const char* text, uint64_t number) {
        return {StatusCode::corrupt, text, value.key, static_cast<int64_t>(number)};
    }
    static Status tensor_fault(const TensorView& tensor, const char* text, uint64_t number) {
        return {StatusCode::corrupt, text, tensor.name, static_cast<int64_t>(number)};
    }

    Status read_header();
    Status read_values();
    Status read_value(GgufValue& value);
    Status read_array(GgufValue& value);
    Status read_alignment();
    Status read_tensors();
    Status read_tensor(TensorView& tensor, Extent& extent);
    Status read_shape(TensorView& tensor);
    static Status measure(const TensorView& tensor, uint64_t& n_bytes);
    Status place_tensors(std::span<const Extent> extents);
    Status check_overlaps() const;

    std::span<const uint8_t> file_;
    std::string_view path_;
    uint32_t file_index_;
    ByteReader in_;
    uint64_t n_tensors_ = 0;
    uint64_t n_values_ = 0;
    uint64_t alignment_ = kDefaultAlignment;
    GgufDirectory directory_;
};

Status Parser::read_header() {
    uint32_t magic = 0;
    uint32_t version = 0;
    if (!in_.read(magic) || magic != kMagic) {
        return {StatusCode::corrupt, "not a GGUF file", path_};
    }
    if (!in_.read(version)) return fault("file ends inside its header");
    if (version != 0 && (version & 0xFFFFU) == 0) {
        return {StatusCode::unsupported, "GGUF file in big-endian byte order", path_};
    }
    if (version != 2 && version != 3) {
        return {StatusCode::unsupported, "GGUF version is neither 2 nor 3", path_, version};
    }
    if (!in_.read(n_tensors_) || !in_.read(n_values_)) {
        return fault("file ends inside its header");
    }
    if (n_values_ > kMaxRecords || n_values_ > in_.remaining() / kMinValueBytes) {
        return fault("more metadata values announced than the file can hold");
    }
    if (n_tensors_ > kMaxRecords || n_tensors_ > in_.remaining() / kMinTensorBytes) {
        return fault("more tensors announced than the file can hold");
    }
    return {};
}

bool are_bools(std::span<const uint8_t> bytes) {
    return std::all_of(bytes.begin(), bytes.end(), [](uint8_t byte) { return byte <= 1; });
}

Status Parser::read_array(GgufValue& value) {
    uint32_t element = 0;
    if (!in_.read(element) || !in_.read(value.count)) {
        return key_fault(value, "file ends inside a metadata value", in_.position());
    }
    if (element > static_cast<uint32_t>(GgufType::f64) ||
        element == static_cast<uint32_t>(GgufType::array)) {
        return key_fault(value, "metadata array of an invalid type", element);
    }
    value.element = static_cast<GgufType>(element);
    const size_t element_bytes = gguf_type_bytes(value.element);
    if (value.count > kMaxLength || value.count > in_.remaining() / element_bytes) {
        return key_fault(value, "metadata array is longer than the file", value.count);
    }
    const size_t begin = in_.position();
    std::span<const uint8_t> bytes;
    if (value.element == GgufType::string) {
        for (uint64_t i = 0; i < value.count; ++i) {
            if (!in_.read_string(bytes) || bytes.size() > kMaxLength) {
                return key_fault(value, "a string of the metadata array is longer than the file",
                                 i);
            }
        }
    } else if (!in_.take(value.count * element_bytes, bytes)) {
        return key_fault(value, "metadata array is longer than the file", value.count);
    } else if (value.element == GgufType::boolean && !are_bools(bytes)) {
        return key_fault(value, "truth value is neither 0 nor 1", begin);
    }
    value.bytes = file_.subspan(begin, in_.position() - begin);
    return {};
}

Status Parser::read_value(GgufValue& value) {
    std::span<const uint8_t> key;
    uint32_t type = 0;
    if (!in_.read_string(key)) return fault("file ends inside a metadata key");
    if (key.empty() || key.size() > kMaxKeyBytes) {
        return fault("metadata key is empty or too long");
    }
    value.key = as_text(key);
    if (!in_.read(type)) return fault("file ends inside its metadata");
    if (type > static_cast<uint32_t>(GgufType::f64)) {
        return key_fault(value, "unknown metadata value type", type);
    }
    value.type = static_cast<GgufType>(type);
    if (value.type == GgufType::array) return read_array(value);
    if (value.type == GgufType::string) {
        if (!in_.read_string(value.bytes) || value.bytes.size() > kMaxLength) {
            return key_fault(value, "metadata string is longer than the file", in_.position());
        }
        return {};
    }
    if (!in_.take(gguf_type_bytes(value.type), value.bytes)) {
        return key_fault(value, "file ends inside a metadata value", in_.position());
    }
    if (value.type == GgufType::boolean && !are_bools(value.bytes)) {
        return key_fault(value, "truth value is neither 0 nor 1", value.bytes[0]);
    }
    return {};
}

Status Parser::read_values() {
    auto& values = directory_.values;
    values.resize(static_cast<size_t>(n_values_));
    for (GgufValue& value : values) GEMLET_TRY(read_value(value));
    std::sort(values.begin(), values.end(),
              [](const GgufValue& a, const GgufValue& b) { return a.key < b.key; });
    const auto twice =
        std::adjacent_find(values.begin(), values.end(),
                           [](const GgufValue& a, const GgufValue& b) { return a.key == b.key; });
    if (twice == values.end()) return {};
    return {StatusCode::corrupt, "metadata key appears twice", twice->key};
}

Status Parser::read_alignment() {
    const GgufValue* value = find_value(directory_.values, "general.alignment");
    if (value == nullptr) return {};
    const std::optional<int64_t> number = value->as_integer();
    if (!number || *number <= 0 || *number > std::numeric_limits<uint32_t>::max() ||
        (*number & (*number - 1)) != 0) {
        return {StatusCode::corrupt, "alignment is not a power of two", value->key};
    }
    alignment_ = static_cast<uint64_t>(*number);
    return {};
}

// The file lists dimensions fastest first, a TensorView slowest first.
Status Parser::read_shape(TensorView& tensor) {
    if (!in_.read(tensor.n_dims)) return fault("file ends inside its tensor directory");
    if (tensor.n_dims > kMaxDims) {
        return tensor_fault(tensor, "tensor has more than four dimensions", tensor.n_dims);
    }
    uint64_t n_elements = 1;
    for (size_t i = tensor.n_dims; i-- > 0;) {
        uint64_t dim = 0;
        if (!in_.read(dim)) return fault("file ends inside its tensor directory");
        if (dim == 0) return tensor_fault(tensor, "tensor has a dimension of zero", i);
        if (dim > kMaxElements / n_elements) {
            return tensor_fault(tensor, "tensor has more elements than can be counted", i);
        }
        n_elements *= dim;
        tensor.shape[i] = static_cast<size_t>(dim);
    }
    return {};
}

Status Parser::measure(const TensorView& tensor, uint64_t& n_bytes) {
    uint64_t unit_weights = 1;
    uint64_t unit_bytes = 0;
    if (tensor.raw == RawType::weight) {
        const WeightTypeInfo& info = weight_type_info(tensor.type);
        unit_weights = info.block_weights;
        unit_bytes = info.block_bytes;
    } else {
        unit_bytes = raw_type_bytes(tensor.raw);
    }
    const size_t n_cols = tensor.n_dims == 0 ? 1 : tensor.shape[tensor.n_dims - 1];
    if (n_cols % unit_weights != 0) {
        return tensor_fault(tensor, "a row is not a whole number of quant blocks", n_cols);
    }
    const uint64_t n_units = tensor.n_elements() / unit_weights;
    if (n_units > kMaxElements / unit_bytes) {
        return tensor_fault(tensor, "tensor has more bytes than can be counted", n_units);
    }
    n_bytes = n_units * unit_bytes;
    return {};
}

Status Parser::read_tensor(TensorView& tensor, Extent& extent) {
    std::span<const uint8_t> name;
    uint32_t type = 0;
    if (!in_.read_string(name)) return fault("file ends inside a tensor name");
    if (name.empty() || name.size() > kMaxNameBytes) {
        return fault("tensor name is empty or too long");
    }
    tensor.name = as_text(name);
    tensor.file_index = file_index_;
    GEMLET_TRY(read_shape(tensor));
    if (!in_.read(type) || !in_.read(extent.offset)) {
        return fault("file ends inside its tensor directory");
    }
    GEMLET_TRY(check_type(type, tensor.name));
    tensor.raw = kTensorTypes[type].raw;
    tensor.type = kTensorTypes[type].type;
    return measure(tensor, extent.n_bytes);
}

Status Parser::read_tensors() {
    const auto n_tensors = static_cast<size_t>(n_tensors_);
    directory_.tensors.resize(n_tensors);
    std::vector<Extent> extents(n_tensors);
    for (size_t i = 0; i < n_tensors; ++i) {
        GEMLET_TRY(read_tensor(directory_.tensors[i], extents[i]));
    }
    return place_tensors(extents);
}

Status Parser::place_tensors(std::span<const Extent> extents) {
    // A file without tensors (a vocabulary) need not be padded up to its data.
    if (extents.empty()) return {};
    const uint64_t data_start = (in_.position() + alignment_ - 1) & ~(alignment_ - 1);
    if (data_start > file_.size()) return fault("file ends before its tensor data");
    const uint64_t data_bytes = file_.size() - data_start;
    for (size_t i = 0; i < extents.size(); ++i) {
        TensorView& tensor = directory_.tensors[i];
        const Extent& extent = extents[i];
        if (extent.offset % alignment_ != 0) {
            return tensor_fault(tensor, "tensor is not aligned", extent.offset);
        }
        if (extent.offset > data_bytes || extent.n_bytes > data_bytes - extent.offset) {
            return tensor_fault(tensor, "tensor reaches beyond the end of the file", extent.offset);
        }
        tensor.bytes = file_.subspan(static_cast<size_t>(data_start + extent.offset),
                                     static_cast<size_t>(extent.n_bytes));
    }
    return check_overlaps();
}

Status Parser::check_overlaps() const {
    std::vector<const TensorView*> order;
    order.reserve(directory_.tensors.size());
    for (const TensorView& tensor : directory_.tensors) order.push_back(&tensor);
    std::sort(order.begin(), order.end(), [](const TensorView* a, const TensorView* b) {
        return a->bytes.data() < b->bytes.data();
    });
    for (size_t i = 1; i < order.size(); ++i) {
        if (order[i - 1]->bytes.data() + order[i - 1]->bytes.size() > order[i]->bytes.data()) {
            return {StatusCode::corrupt, "two tensors overlap", order[i]->name};
        }
    }
    return {};
}

Status Parser::run() {
    GEMLET_TRY(read_header());
    GEMLET_TRY(read_values());
    GEMLET_TRY(read_alignment());
    GEMLET_TRY(read_tensors());
    return sort_by_name(directory_.tensors);
}

}  // namespace

size_t gguf_type_bytes(GgufType type) {
    switch (type) {
        case GgufType::u8:
        case GgufType::i8:
        case GgufType::boolean:
            return 1;
        case GgufType::u16:
        case GgufType::i16:
            return 2;
        case GgufType::u32:
        case GgufType::i32:
        case GgufType::f32:
            return 4;
        case GgufType::string:
        case GgufType::u64:
        case GgufType::i64:
        case GgufType::f64:
            return 8;
        case GgufType::array:
            break;
    }
    return 0;
}

const GgufValue* find_value(std::span<const GgufValue> sorted, std::string_view key) {
    const auto at = std::lower_bound(
        sorted.begin(), sorted.end(), key,
        [](const GgufValue& value, std::string_view wanted) { return value.key < wanted; });
    return at != sorted.end() && at->key == key ? &*at : nullptr;
}

Result<GgufDirectory> parse_gguf(std::span<const uint8_t> file, std::string_view path,
                                 uint32_t file_index) {
    Parser parser(file, path, file_index);
    GEMLET_TRY(parser.run());
    return std::move(parser).directory();
}

}  // namespace gemlet
