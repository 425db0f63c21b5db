// Ids alone do not tell two pictures apart: their rows have the same placeholder, so marks of the
// contents are compared as well.
#include "frontends/text/prompt_rows.h"

#include <algorithm>

namespace gemlet {

void PromptRows::lay_out(std::span<const int32_t> ids, std::span<const PromptMedium> media,
                         size_t width) {
    rows.clear();
    for (const int32_t id : ids) rows.push_back({id, nullptr});
    marks.assign(rows.size(), 0);
    for (const PromptMedium& medium : media) {
        for (size_t i = 0; i < medium.count; ++i) {
            rows[medium.begin + i].soft = medium.soft + i * width;
            marks[medium.begin + i] = medium.mark;
        }
    }
}

void KnownRows::reserve(size_t n) {
    ids.reserve(n);
    marks.reserve(n);
}

void KnownRows::resize(size_t n) {
    ids.resize(n);
    marks.resize(n);
}

void KnownRows::push(int32_t id) {
    ids.push_back(id);
    marks.push_back(0);
}

void KnownRows::assign(const PromptRows& prompt, size_t n) {
    resize(n);
    for (size_t i = 0; i < n; ++i) ids[i] = prompt.rows[i].token;
    std::copy_n(prompt.marks.begin(), n, marks.begin());
}

size_t KnownRows::common(const PromptRows& prompt) const {
    if (prompt.rows.empty()) return 0;
    const size_t most = std::min(size(), prompt.rows.size() - 1);
    size_t n = 0;
    while (n < most && ids[n] == prompt.rows[n].token && marks[n] == prompt.marks[n]) ++n;
    while (n > 0 && prompt.marks[n] != 0 && prompt.marks[n] == prompt.marks[n - 1]) --n;
    return n;
}

}  // namespace gemlet
