// Opens GGUF models, in one file or split into parts NAME-00001-of-00003.gguf and so on. Every part
// is a complete GGUF file; the first has the metadata, and all say which part of how many they are.
#include "core/files/gguf.h"

#include <algorithm>
#include <array>
#include <cinttypes>
#include <cstdio>
#include <utility>

#include "core/files/gguf_parse.h"

namespace gemlet {
namespace {

constexpr int64_t kMaxParts = 99999;  // what the file name has digits for

// Reads an integer key of a split file into `out`, which keeps its value if the key is missing.
Status read_split_key(std::span<const GgufValue> values, std::string_view key, int64_t& out) {
    const GgufValue* value = find_value(values, key);
    if (value == nullptr) return {};
    const std::optional<int64_t> number = value->as_integer();
    if (!number || *number < 0) {
        return {StatusCode::corrupt, "not a number of parts", key};
    }
    out = *number;
    return {};
}

// "-00002-of-00003.gguf"
std::string part_suffix(int64_t part, int64_t n_parts) {
    std::array<char, 64> text{};
    std::snprintf(text.data(), text.size(), "-%05" PRId64 "-of-%05" PRId64 ".gguf", part + 1,
                  n_parts);
    return text.data();
}

Status check_part(const GgufDirectory& directory, const std::string& path, int64_t part,
                  int64_t n_parts) {
    int64_t says_part = -1;
    int64_t says_parts = -1;
    GEMLET_TRY(read_split_key(directory.values, "split.no", says_part));
    GEMLET_TRY(read_split_key(directory.values, "split.count", says_parts));
    if (says_part != part || says_parts != n_parts) {
        return {StatusCode::corrupt, "file is not the part that its name says", path, says_part};
    }
    return {};
}

}  // namespace

Result<GgufFile> GgufFile::open(const std::string& path) {
    GgufFile model;
    Result<MappedFile> first = MappedFile::open(path);
    GEMLET_TRY(first);
    Result<GgufDirectory> directory = parse_gguf(first->bytes(), path, 0);
    GEMLET_TRY(directory);
    model.files_.push_back(std::move(*first));
    model.values_ = std::move(directory->values);
    model.tensors_ = std::move(directory->tensors);

    int64_t n_parts = 1;
    GEMLET_TRY(read_split_key(model.values_, "split.count", n_parts));
    if (n_parts <= 1) return model;
    GEMLET_TRY(model.add_parts(path, n_parts));
    return model;
}

Status GgufFile::add_parts(const std::string& path, int64_t n_parts) {
    int64_t part = 0;
    GEMLET_TRY(read_split_key(values_, "split.no", part));
    if (part != 0) {
        return {StatusCode::bad_argument, "this is not the first part of a split model", path,
                part};
    }
    if (n_parts > kMaxParts || !path.ends_with(part_suffix(0, n_parts))) {
        return {StatusCode::corrupt, "file name does not end in -00001-of-0000N.gguf", path,
                n_parts};
    }
    const std::string stem = path.substr(0, path.size() - part_suffix(0, n_parts).size());
    for (part = 1; part < n_parts; ++part) {
        const std::string part_path = stem + part_suffix(part, n_parts);
        Result<MappedFile> file = MappedFile::open(part_path);
        GEMLET_TRY(file);
        Result<GgufDirectory> directory =
            parse_gguf(file->bytes(), part_path, static_cast<uint32_t>(part));
        GEMLET_TRY(directory);
        GEMLET_TRY(check_part(*directory, part_path, part, n_parts));
        files_.push_back(std::move(*file));
        std::move(directory->tensors.begin(), directory->tensors.end(),
                  std::back_inserter(tensors_));
    }
    auto n_tensors = static_cast<int64_t>(tensors_.size());
    GEMLET_TRY(read_split_key(values_, "split.tensors.count", n_tensors));
    if (n_tensors != static_cast<int64_t>(tensors_.size())) {
        return {StatusCode::corrupt, "the parts hold another number of tensors than announced",
                "split.tensors.count", n_tensors};
    }
    return sort_by_name(tensors_);
}

const GgufValue* GgufFile::find(std::string_view key) const { return find_value(values_, key); }

const TensorView* GgufFile::tensor(std::string_view name) const {
    return find_tensor(tensors_, name);
}

}  // namespace gemlet
