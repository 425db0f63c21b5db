// Decoding works in bytes: every id adds its own, and only their sequence is read as UTF-8. A tail
// is held only while it can still become a character.
#include "frontends/text/tokenizer/detokenizer.h"

#include <algorithm>
#include <cstring>

#include "frontends/text/tokenizer/utf8.h"

namespace gemlet {
namespace {

// Longest tail that may wait: a character of four bytes without its last one.
constexpr size_t kMaxTail = 3;

// Hands out the well-formed parts and U+FFFD for the others; returns the bytes read. A tail that is
// only cut stays unread.
template <class Put>
size_t read_utf8(std::string_view bytes, const Put& put) {
    size_t at = 0;
    size_t shown = 0;
    while (at < bytes.size()) {
        const Utf8Step step = next_utf8(bytes.substr(at));
        if (step.state == Utf8State::valid) {
            at += step.length;
            continue;
        }
        put(bytes.substr(shown, at - shown));
        shown = at;
        if (step.state == Utf8State::cut) {
            return at;
        }
        put(kReplacement);
        at += step.length;
        shown = at;
    }
    put(bytes.substr(shown));
    return at;
}

}  // namespace

std::string replace_broken_utf8(std::string_view bytes) {
    std::string text;
    text.reserve(bytes.size());
    const size_t n_read = read_utf8(bytes, [&](std::string_view part) { text += part; });
    if (n_read < bytes.size()) {
        text += kReplacement;
    }
    return text;
}

Result<std::string> detokenize_bytes(const Vocabulary& vocabulary, std::span<const int32_t> ids,
                                     bool skip_special) {
    std::string bytes;
    for (const int32_t id : ids) {
        if (!vocabulary.contains(id)) {
            return Status(StatusCode::bad_argument, "id is outside the vocabulary", "token", id);
        }
        if (!skip_special || !vocabulary.is_special(id)) {
            bytes += vocabulary.bytes(id);
        }
    }
    return bytes;
}

Result<std::string> detokenize(const Vocabulary& vocabulary, std::span<const int32_t> ids,
                               bool skip_special) {
    const Result<std::string> bytes = detokenize_bytes(vocabulary, ids, skip_special);
    GEMLET_TRY(bytes);
    return replace_broken_utf8(*bytes);
}

StreamDetokenizer::StreamDetokenizer(const Vocabulary& vocabulary, bool skip_special)
    : vocabulary_(&vocabulary),
      skip_special_(skip_special),
      input_(std::max(vocabulary.longest_piece_bytes(), kReplacement.size()) + kMaxTail),
      output_(3 * input_.size()) {}

std::string_view StreamDetokenizer::push(int32_t id) {
    if (skip_special_ && vocabulary_->is_special(id)) {
        return {};
    }
    const std::string_view added =
        vocabulary_->contains(id) ? vocabulary_->bytes(id) : kReplacement;
    if (added.empty()) {
        return {};
    }
    std::memcpy(input_.data() + n_input_, added.data(), added.size());
    const std::string_view input(input_.data(), n_input_ + added.size());
    size_t n_output = 0;
    const size_t n_read = read_utf8(input, [&](std::string_view part) {
        if (!part.empty()) {
            std::memcpy(output_.data() + n_output, part.data(), part.size());
            n_output += part.size();
        }
    });
    n_input_ = input.size() - n_read;
    std::memmove(input_.data(), input_.data() + n_read, n_input_);
    return {output_.data(), n_output};
}

std::string_view StreamDetokenizer::flush() {
    const bool held = n_input_ > 0;
    n_input_ = 0;
    return held ? kReplacement : std::string_view();
}

}  // namespace gemlet
