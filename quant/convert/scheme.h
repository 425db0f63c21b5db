// Names of target formats and methods, and which type each role of a tensor gets.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/model/config.h"
#include "quant/formats/weight_type.h"

namespace gemlet {

/// The file that is written.
enum class Container : uint8_t { gguf, mobile };

/// round: nearest code, scales from the range. search: scales searched for by squared error,
/// weighted by calibration where there is some. gptq: codes that make up for each other's errors.
enum class Method : uint8_t { round, search, gptq };

/// A target format.
struct Scheme {
    std::string name;  // "gguf:q4_k"
    Container container = Container::gguf;
    WeightType body = WeightType::q4_k;  // GGUF: of most matrices
    uint32_t file_type = 0;              // GGUF: general.file_type
    size_t mobile_bits = 4;              // mobile: of most matrices
    size_t late_bits = 4;                // mobile: of the feed-forward behind the KV-writing layers
};

/// Reads "gguf:q4_k", "mobile:w4w2" and the like. Empty for an unknown name.
std::optional<Scheme> scheme_from_name(std::string_view name);
/// All names, for help: separated by blanks.
const char* scheme_names();

/// What a tensor does, as far as its type depends on it.
enum class Role : uint8_t {
    other,  // norms, scalars, the router: stays F32
    embedding,
    ple_table,
    ple_context,  // the projection to per-layer inputs
    attention_v,
    attention_output,
    down,
    feed_forward,  // its gate and up
    matrix
};

/// Role of a tensor by its Hugging Face name below the language model.
Role role_of(std::string_view name);

/// The block type of a matrix in a GGUF file: the scheme's body or, as in the mixes of popular
/// files, a finer one where errors cost most. Rows that are no whole number of its blocks get a
/// type of blocks of 32, and BF16 where even that does not fit.
WeightType gguf_type(const Scheme& scheme, const ModelConfig& config, Role role, size_t layer,
                     size_t n_cols);

}  // namespace gemlet
