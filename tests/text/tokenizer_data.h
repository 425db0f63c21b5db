// What the tokenizer's tests share: small vocabularies made on the spot, the nano model's, and the
// large reference vectors where they are at hand.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/json.h"
#include "core/status.h"
#include "frontends/text/tokenizer/tokenizer.h"

namespace gemlet::test {

using Ids = std::vector<int32_t>;

/// Returns a file's bytes; empty where there is none.
std::string read_file(const std::string& path);
/// Returns the documents of a JSON-lines file; empty where there is none.
std::vector<Json> read_json_lines(const std::string& path);
Ids ids_of(const Json& list);
std::string from_hex(std::string_view hex);

/// Path of a file of the large reference data.
std::string shared_path(std::string_view name);
/// The nano model's tokenizer, from the copy in this repository.
std::string nano_directory();
const Tokenizer& nano();
/// The full vocabulary, or nullptr without the reference data.
const Tokenizer* full();

/// A folder with a tokenizer.json and perhaps other files, gone at the end.
class TemporaryDirectory {
  public:
    explicit TemporaryDirectory(const std::vector<std::pair<std::string, std::string>>& files);
    ~TemporaryDirectory();
    TemporaryDirectory(const TemporaryDirectory&) = delete;
    TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
    const std::string& path() const { return path_; }

  private:
    std::string path_;
};

/// Loads a vocabulary from the text of a tokenizer.json and, if not empty, the two other files.
Result<Vocabulary> load_json(const std::string& tokenizer, const std::string& config = {},
                             const std::string& generation = {});

/// Writes GGUF metadata (no tensors), value by value.
class GgufWriter {
  public:
    GgufWriter& text(std::string_view key, std::string_view value);
    GgufWriter& number(std::string_view key, uint32_t value);
    GgufWriter& texts(std::string_view key, const std::vector<std::string>& values);
    GgufWriter& numbers(std::string_view key, const std::vector<int32_t>& values);
    /// Returns the whole file.
    std::string bytes() const;

  private:
    void word(uint64_t value, size_t n_bytes);
    void string(std::string_view value);

    std::string body_;
    uint64_t n_values_ = 0;
};

/// Opens `bytes` as a GGUF file and reads its vocabulary.
Result<Vocabulary> load_gguf(const std::string& bytes);

}  // namespace gemlet::test
