// Reads safetensors headers. The header is JSON of up to 100 MB from a stranger, so it is read as a
// stream of events against the one shape it may have: no tree is built, and the first thing out of
// place ends the reading.
#include "core/files/safetensors_parse.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "core/files/byte_reader.h"
#include "core/json.h"
#include "core/json_events.h"

namespace gemlet {
namespace {

constexpr uint64_t kMaxHeaderBytes = 100'000'000;
constexpr size_t kMaxIndexBytes = 16U << 20U;  // 2,780 tensors take 0.3 MB
constexpr size_t kMaxDims = 4;

struct DtypeInfo {
    std::string_view name;
    RawType raw;
    WeightType type;
    size_t n_bytes;
};

constexpr std::array<DtypeInfo, 13> kDtypes = {{
    {"F32", RawType::weight, WeightType::f32, 4},
    {"F16", RawType::weight, WeightType::f16, 2},
    {"BF16", RawType::weight, WeightType::bf16, 2},
    {"I8", RawType::i8, WeightType::f32, 1},
    {"U8", RawType::u8, WeightType::f32, 1},
    {"BOOL", RawType::boolean, WeightType::f32, 1},
    {"I16", RawType::i16, WeightType::f32, 2},
    {"U16", RawType::u16, WeightType::f32, 2},
    {"I32", RawType::i32, WeightType::f32, 4},
    {"U32", RawType::u32, WeightType::f32, 4},
    {"I64", RawType::i64, WeightType::f32, 8},
    {"U64", RawType::u64, WeightType::f32, 8},
    {"F64", RawType::f64, WeightType::f32, 8},
}};

// One entry of the header as it is read.
struct Entry {
    TensorView tensor;
    uint64_t begin = 0;  // in the buffer behind the header
    uint64_t end = 0;
};

class HeaderSink {
  public:
    HeaderSink(std::string_view path, uint32_t file_index) : path_(path), file_index_(file_index) {}

    Status take(JsonEvent& event);
    std::vector<Entry> entries() && { return std::move(entries_); }

  private:
    // What is being read. `values` holds the numbers of a shape or of data_offsets.
    enum class State : uint8_t { start, names, metadata, entry, values, done };
    enum Field : uint8_t { kDtype = 1, kShape = 2, kOffsets = 4, kAllFields = 7 };

    Status fault(const char* text) const {
        return {StatusCode::corrupt, text, name_.empty() ? path_ : std::string_view(name_)};
    }
    Status wrong() const { return fault("safetensors header has an unexpected form"); }

    Status take_start(const JsonEvent& event);
    Status take_name(JsonEvent& event);
    Status take_metadata(JsonEvent& event);
    Status take_field(JsonEvent& event);
    Status take_dtype(const std::string& text);
    Status take_number(const JsonEvent& event);
    Status finish_values();
    Status finish_entry();

    std::string_view path_;
    uint32_t file_index_;
    State state_ = State::start;
    std::string name_;    // of the entry that is being read
    uint8_t field_ = 0;   // the field that is being read
    uint8_t fields_ = 0;  // those that were read
    bool has_metadata_ = false;
    std::vector<std::string> metadata_keys_;
    std::array<uint64_t, kMaxDims> numbers_{};
    size_t n_numbers_ = 0;
    size_t dtype_bytes_ = 0;
    Entry entry_;
    std::vector<Entry> entries_;
};

Status HeaderSink::take(JsonEvent& event) {
    switch (state_) {
        case State::start:
            return take_start(event);
        case State::names:
            return take_name(event);
        case State::metadata:
            return take_metadata(event);
        case State::entry:
            return take_field(event);
        case State::values:
            return take_number(event);
        case State::done:
            break;
    }
    return wrong();
}

Status HeaderSink::take_start(const JsonEvent& event) {
    if (event.kind != JsonEvent::Kind::begin_object) return wrong();
    state_ = State::names;
    return {};
}

Status HeaderSink::take_name(JsonEvent& event) {
    if (event.kind == JsonEvent::Kind::end_object) {
        state_ = State::done;
        return {};
    }
    if (event.kind == JsonEvent::Kind::key) {
        name_ = std::move(event.text);
        if (name_.empty()) return fault("tensor without a name");
        return {};
    }
    if (event.kind != JsonEvent::Kind::begin_object) return wrong();
    if (name_ == "__metadata__") {
        if (has_metadata_) return fault("safetensors header has two of this");
        has_metadata_ = true;
        state_ = State::metadata;
    } else {
        entry_ = {};
        fields_ = 0;
        state_ = State::entry;
    }
    return {};
}

Status HeaderSink::take_metadata(JsonEvent& event) {
    if (event.kind == JsonEvent::Kind::key) {
        metadata_keys_.push_back(std::move(event.text));
        return {};
    }
    if (event.kind == JsonEvent::Kind::string) return {};
    if (event.kind != JsonEvent::Kind::end_object) return fault("metadata must be strings");
    std::sort(metadata_keys_.begin(), metadata_keys_.end());
    if (std::adjacent_find(metadata_keys_.begin(), metadata_keys_.end()) != metadata_keys_.end()) {
        return fault("metadata key appears twice");
    }
    name_.clear();
    state_ = State::names;
    return {};
}

Status HeaderSink::take_field(JsonEvent& event) {
    switch (event.kind) {
        case JsonEvent::Kind::end_object:
            state_ = State::names;
            return finish_entry();
        case JsonEvent::Kind::key:
            field_ = event.text == "dtype"          ? kDtype
                     : event.text == "shape"        ? kShape
                     : event.text == "data_offsets" ? kOffsets
                                                    : 0;
            if (field_ == 0) return fault("tensor entry has an unknown field");
            if ((fields_ & field_) != 0) return fault("tensor entry has a field twice");
            fields_ = static_cast<uint8_t>(fields_ | field_);
            return {};
        case JsonEvent::Kind::string:
            return field_ == kDtype ? take_dtype(event.text) : wrong();
        case JsonEvent::Kind::begin_array:
            if (field_ == kDtype) return wrong();
            n_numbers_ = 0;
            state_ = State::values;
            return {};
        default:
            return wrong();
    }
}

Status HeaderSink::take_dtype(const std::string& text) {
    const auto info = std::find_if(kDtypes.begin(), kDtypes.end(),
                                   [&](const DtypeInfo& known) { return known.name == text; });
    if (info == kDtypes.end()) {
        return {StatusCode::unsupported, "tensor has a dtype that is not supported", name_};
    }
    entry_.tensor.raw = info->raw;
    entry_.tensor.type = info->type;
    dtype_bytes_ = info->n_bytes;
    return {};
}

Status HeaderSink::take_number(const JsonEvent& event) {
    if (event.kind == JsonEvent::Kind::end_array) return finish_values();
    if (event.kind != JsonEvent::Kind::number) return wrong();
    if (n_numbers_ == kMaxDims) {
        return {StatusCode::unsupported, "tensor has more than four dimensions", name_};
    }
    const char* last = event.text.data() + event.text.size();
    const auto read = std::from_chars(event.text.data(), last, numbers_[n_numbers_]);
    if (read.ec != std::errc() || read.ptr != last) {
        return fault("a size or offset is not a whole number of 64 bits");
    }
    ++n_numbers_;
    return {};
}

Status HeaderSink::finish_values() {
    state_ = State::entry;
    if (field_ == kOffsets) {
        if (n_numbers_ != 2) return fault("data_offsets must be two numbers");
        entry_.begin = numbers_[0];
        entry_.end = numbers_[1];
        return {};
    }
    entry_.tensor.n_dims = static_cast<uint32_t>(n_numbers_);
    uint64_t n_elements = 1;
    for (size_t i = 0; i < n_numbers_; ++i) {
        const uint64_t dim = numbers_[i];
        if (dim == 0) {
            return {StatusCode::unsupported, "tensor has a dimension of zero", name_};
        }
        if (dim > kMaxElements / n_elements) {
            return fault("tensor has more elements than can be counted");
        }
        n_elements *= dim;
        entry_.tensor.shape[i] = static_cast<size_t>(dim);
    }
    return {};
}

Status HeaderSink::finish_entry() {
    if (fields_ != kAllFields) return fault("tensor entry lacks a field");
    const uint64_t n_elements = entry_.tensor.n_elements();
    if (entry_.begin > entry_.end || n_elements > kMaxElements / dtype_bytes_ ||
        entry_.end - entry_.begin != n_elements * dtype_bytes_) {
        return fault("data_offsets disagree with the tensor's shape");
    }
    entry_.tensor.name = std::move(name_);
    entry_.tensor.file_index = file_index_;
    entries_.push_back(std::move(entry_));
    name_.clear();
    return {};
}

// The tensors must fill the buffer from its start to its end, one after the other.
Status place_entries(std::vector<Entry>& entries, std::span<const uint8_t> buffer,
                     std::string_view path) {
    std::sort(entries.begin(), entries.end(),
              [](const Entry& a, const Entry& b) { return a.begin < b.begin; });
    uint64_t at = 0;
    for (Entry& entry : entries) {
        if (entry.begin != at) {
            return {
                StatusCode::corrupt,
                entry.begin < at ? "two tensors overlap" : "bytes before this tensor are unused",
                entry.tensor.name, static_cast<int64_t>(entry.begin)};
        }
        if (entry.end > buffer.size()) {
            return {StatusCode::corrupt, "tensor reaches beyond the end of the file",
                    entry.tensor.name, static_cast<int64_t>(entry.end)};
        }
        entry.tensor.bytes = buffer.subspan(static_cast<size_t>(entry.begin),
                                            static_cast<size_t>(entry.end - entry.begin));
        at = entry.end;
    }
    if (at != buffer.size()) {
        return {StatusCode::corrupt, "file goes on after its last tensor", path,
                static_cast<int64_t>(at)};
    }
    return {};
}

// JSON faults know no path: gives them the file's.
Status with_path(Status status, std::string_view path) {
    if (status.ok() || !status.subject().empty()) return status;
    return {status.code(), status.text(), path, status.number()};
}

bool is_plain_name(std::string_view name) {
    return !name.empty() && name != "." && name != ".." &&
           name.find_first_of(std::string_view("/\\\0", 3)) == std::string_view::npos;
}

}  // namespace

Result<std::vector<TensorView>> parse_safetensors(std::span<const uint8_t> file,
                                                  std::string_view path, uint32_t file_index) {
    ByteReader in(file);
    uint64_t n_header_bytes = 0;
    std::span<const uint8_t> header;
    if (!in.read(n_header_bytes)) {
        return Status(StatusCode::corrupt, "not a safetensors file: too short", path);
    }
    if (n_header_bytes > kMaxHeaderBytes || !in.take(n_header_bytes, header)) {
        return Status(StatusCode::corrupt, "not a safetensors file: header longer than the file",
                      path);
    }
    if (header.empty() || header[0] != '{') {
        return Status(StatusCode::corrupt, "not a safetensors file: header is no JSON object",
                      path);
    }
    HeaderSink sink(path, file_index);
    GEMLET_TRY(with_path(
        read_json(as_text(header), [&](JsonEvent& event) { return sink.take(event); }), path));
    std::vector<Entry> entries = std::move(sink).entries();
    GEMLET_TRY(place_entries(entries, file.subspan(in.position()), path));

    std::vector<TensorView> tensors;
    tensors.reserve(entries.size());
    for (Entry& entry : entries) tensors.push_back(std::move(entry.tensor));
    GEMLET_TRY(sort_by_name(tensors));
    return tensors;
}

Result<ShardIndex> parse_shard_index(std::string_view json, std::string_view path) {
    if (json.size() > kMaxIndexBytes) {
        return Status(StatusCode::unsupported, "index is too large", path);
    }
    const Result<Json> document = parse_json(json);
    GEMLET_TRY(with_path(document.error(), path));
    const Json* map = document->find("weight_map");
    if (map == nullptr || !map->is_object() || map->members.empty()) {
        return Status(StatusCode::corrupt, "index has no weight_map", path);
    }
    ShardIndex index;
    for (const auto& [name, file] : map->members) {
        if (!file.is_string() || !is_plain_name(file.text)) {
            return Status(StatusCode::corrupt, "index maps this tensor to no plain file name",
                          name);
        }
        index.files.push_back(file.text);
    }
    std::sort(index.files.begin(), index.files.end());
    index.files.erase(std::unique(index.files.begin(), index.files.end()), index.files.end());
    for (const auto& [name, file] : map->members) {
        const auto at = std::lower_bound(index.files.begin(), index.files.end(), file.text);
        index.tensors.emplace_back(name, static_cast<uint32_t>(at - index.files.begin()));
    }
    return index;
}

}  // namespace gemlet
