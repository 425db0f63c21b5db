// A prompt as rows of the model, and what a KV cache knows of earlier ones: which rows need not be
// computed again.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "core/engine/session.h"

namespace gemlet {

/// Soft tokens in a prompt: `count` rows stand at the placeholders from position `begin` on.
struct PromptMedium {
    size_t begin = 0;
    size_t count = 0;
    const float* soft = nullptr;  // [count, d_model]
    uint64_t mark = 0;            // of the content, not 0: the same mark means the same rows
};

/// The rows of a prompt; soft tokens are borrowed.
struct PromptRows {
    std::vector<PromptRow> rows;
    std::vector<uint64_t> marks;  // like rows: what stands at a soft token, 0 elsewhere

    /// Fills both. `media` are ascending and within the prompt; `width` is d_model.
    void lay_out(std::span<const int32_t> ids, std::span<const PromptMedium> media, size_t width);
};

/// What stands at the positions of a KV cache.
struct KnownRows {
    std::vector<int32_t> ids;
    std::vector<uint64_t> marks;

    size_t size() const { return ids.size(); }
    void reserve(size_t n);
    void resize(size_t n);
    void push(int32_t id);
    /// Becomes the first `n` rows of a prompt.
    void assign(const PromptRows& prompt, size_t n);
    /// How many rows at the beginning of a prompt are here already. The last row of the prompt
    /// never counts, since its logits are wanted; nor does part of a picture, whose rows may see
    /// each other.
    size_t common(const PromptRows& prompt) const;
};

}  // namespace gemlet
