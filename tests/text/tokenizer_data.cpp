#include "tests/text/tokenizer_data.h"

#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <sstream>

namespace gemlet::test {

std::string read_file(const std::string& path) {
    std::ifstream in(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
}

std::vector<Json> read_json_lines(const std::string& path) {
    std::vector<Json> documents;
    std::ifstream in(path, std::ios::binary);
    for (std::string line; std::getline(in, line);) {
        Result<Json> parsed = parse_json(line);
        if (parsed) {
            documents.push_back(std::move(*parsed));
        }
    }
    return documents;
}

Ids ids_of(const Json& list) {
    Ids ids;
    for (const Json& item : list.items) {
        ids.push_back(static_cast<int32_t>(item.number));
    }
    return ids;
}

std::string from_hex(std::string_view hex) {
    std::string bytes;
    for (size_t i = 0; i + 1 < hex.size(); i += 2) {
        bytes.push_back(static_cast<char>(std::stoi(std::string(hex.substr(i, 2)), nullptr, 16)));
    }
    return bytes;
}

std::string shared_path(std::string_view name) {
    return std::string(GEMLET_SHARED_DATA) + "/data/" + std::string(name);
}

std::string nano_directory() {
    return std::string(GEMLET_SOURCE_DIR) + "/examples/data/gemma-4-nano";
}

const Tokenizer& nano() {
    static const Result<Tokenizer> loaded = tokenizer_from_directory(nano_directory());
    if (!loaded) {
        std::abort();  // the repository's own file
    }
    return *loaded;
}

const Tokenizer* full() {
    static const Result<Tokenizer> loaded = []() -> Result<Tokenizer> {
        const Result<GgufFile> file = GgufFile::open(shared_path("tokenizer/gemma4-vocab.gguf"));
        GEMLET_TRY(file);
        return tokenizer_from_gguf(*file);
    }();
    return loaded ? &*loaded : nullptr;
}

TemporaryDirectory::TemporaryDirectory(
    const std::vector<std::pair<std::string, std::string>>& files) {
    path_ = (std::filesystem::temp_directory_path() / "gemlet-tokenizer-XXXXXX").string();
    if (mkdtemp(path_.data()) == nullptr) {
        std::abort();
    }
    for (const auto& [name, text] : files) {
        std::ofstream(path_ + "/" + name, std::ios::binary) << text;
    }
}

TemporaryDirectory::~TemporaryDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
}

Result<Vocabulary> load_json(const std::string& tokenizer, const std::string& config,
                             const std::string& generation) {
    std::vector<std::pair<std::string, std::string>> files = {{"tokenizer.json", tokenizer}};
    if (!config.empty()) {
        files.emplace_back("tokenizer_config.json", config);
    }
    if (!generation.empty()) {
        files.emplace_back("generation_config.json", generation);
    }
    const TemporaryDirectory directory(files);
    return vocabulary_from_directory(directory.path());
}

void GgufWriter::word(uint64_t value, size_t n_bytes) {
    for (size_t i = 0; i < n_bytes; ++i) {
        body_.push_back(static_cast<char>(value >> (8 * i)));
    }
}

void GgufWriter::string(std::string_view value) {
    word(value.size(), 8);
    body_ += value;
}

GgufWriter& GgufWriter::text(std::string_view key, std::string_view value) {
    string(key);
    word(8, 4);
    string(value);
    ++n_values_;
    return *this;
}

GgufWriter& GgufWriter::number(std::string_view key, uint32_t value) {
    string(key);
    word(4, 4);
    word(value, 4);
    ++n_values_;
    return *this;
}

GgufWriter& GgufWriter::texts(std::string_view key, const std::vector<std::string>& values) {
    string(key);
    word(9, 4);
    word(8, 4);
    word(values.size(), 8);
    for (const std::string& value : values) {
        string(value);
    }
    ++n_values_;
    return *this;
}

GgufWriter& GgufWriter::numbers(std::string_view key, const std::vector<int32_t>& values) {
    string(key);
    word(9, 4);
    word(5, 4);
    word(values.size(), 8);
    for (const int32_t value : values) {
        word(static_cast<uint32_t>(value), 4);
    }
    ++n_values_;
    return *this;
}

std::string GgufWriter::bytes() const {
    GgufWriter head;
    head.word(3, 4);
    head.word(0, 8);
    head.word(n_values_, 8);
    return "GGUF" + head.body_ + body_;
}

Result<Vocabulary> load_gguf(const std::string& bytes) {
    const TemporaryDirectory directory({{"vocabulary.gguf", bytes}});
    const Result<GgufFile> file = GgufFile::open(directory.path() + "/vocabulary.gguf");
    GEMLET_TRY(file);
    return vocabulary_from_gguf(*file);
}

}  // namespace gemlet::test
