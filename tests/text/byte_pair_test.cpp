// The merging against a reference that follows the definition word for word and cuts nothing.
#include "frontends/text/tokenizer/byte_pair.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <string>
#include <vector>

#include "frontends/text/tokenizer/utf8.h"
#include "tests/text/tokenizer_data.h"

namespace gemlet::test {
namespace {

Ids reference_merge(const MergeTable& merges, Ids ids) {
    while (true) {
        uint32_t best_rank = MergeTable::kNoRank;
        size_t best = 0;
        for (size_t i = 0; i + 1 < ids.size(); ++i) {
            const uint32_t rank = merges.rank(ids[i], ids[i + 1]);
            if (rank < best_rank) {
                best_rank = rank;
                best = i;
            }
        }
        if (best_rank == MergeTable::kNoRank) {
            return ids;
        }
        ids[best] = merges.product(best_rank);
        ids.erase(ids.begin() + static_cast<ptrdiff_t>(best) + 1);
    }
}

// The whole text as one run: bytes stand among the characters and merge with nothing.
Ids reference_encode(const Vocabulary& vocabulary, std::string_view text) {
    Ids ids;
    while (!text.empty()) {
        const Utf8Step step = next_utf8(text);
        const bool valid = step.state == Utf8State::valid;
        const size_t n = valid ? step.length : 1;
        const std::string_view bytes = valid ? text.substr(0, n) : kReplacement;
        const int32_t id = vocabulary.character_id(valid ? step.code_point : kReplacementCodePoint);
        if (id != kNoToken) {
            ids.push_back(id);
        } else {
            for (const char byte : bytes) {
                ids.push_back(vocabulary.byte_id(static_cast<uint8_t>(byte)));
            }
        }
        text.remove_prefix(n);
    }
    return reference_merge(vocabulary.merges(), std::move(ids));
}

std::string random_text(std::mt19937& random, const std::vector<std::string>& parts, size_t n) {
    std::string text;
    for (size_t i = 0; i < n; ++i) {
        text += parts[random() % parts.size()];
    }
    return text;
}

// Ranks that do not follow ids, merges across words, and overlapping ways to the same text.
Vocabulary tangled_vocabulary() {
    std::vector<std::string> pieces = {"<unk>",
                                       "bab",
                                       "aa",
                                       "\xE2\x96\x81"
                                       "a",
                                       "ab",
                                       "ba",
                                       "abab",
                                       "a\xE2\x96\x81",
                                       "a\xE2\x96\x81"
                                       "b",
                                       "\xC3\xA9"
                                       "a",
                                       "a",
                                       "b",
                                       "c",
                                       "\xE2\x96\x81",
                                       "\xC3\xA9"};
    const std::vector<std::string> merges = {
        "b ab",           "a b", "ab ab",           "a \xE2\x96\x81", "b a",
        "\xE2\x96\x81 a", "a a", "a\xE2\x96\x81 b", "\xC3\xA9 a",     "ba b"};
    Result<Vocabulary> loaded = load_gguf(GgufWriter()
                                              .text("tokenizer.ggml.model", "gemma4")
                                              .texts("tokenizer.ggml.tokens", pieces)
                                              .texts("tokenizer.ggml.merges", merges)
                                              .bytes());
    EXPECT_TRUE(loaded) << loaded.error().message();
    return std::move(*loaded);
}

TEST(BytePair, scan_and_heap_follow_the_definition) {
    const Vocabulary vocabulary = tangled_vocabulary();
    std::mt19937 random(7);
    HeapMerger heap;
    for (int round = 0; round < 3000; ++round) {
        Ids ids(random() % (kMaxScan + 1));
        for (int32_t& id : ids) {
            id = static_cast<int32_t>(random() % vocabulary.size());
        }
        const Ids expected = reference_merge(vocabulary.merges(), ids);
        Ids by_scan = ids;
        by_scan.resize(merge_by_scan(vocabulary.merges(), by_scan.data(), by_scan.size()));
        EXPECT_EQ(by_scan, expected);
        Ids by_heap = ids;
        by_heap.resize(heap.merge(vocabulary.merges(), by_heap.data(), by_heap.size()));
        EXPECT_EQ(by_heap, expected);
    }
}

TEST(BytePair, cutting_runs_changes_no_id) {
    std::mt19937 random(11);
    const Vocabulary vocabulary = tangled_vocabulary();
    const std::vector<std::string> parts = {"a",    "b", "c", " ", "\xC3\xA9", "\xE2\x96\x81",
                                            "\xFF", "z", "ab"};
    for (int round = 0; round < 2000; ++round) {
        const std::string text = random_text(random, parts, random() % 120);
        Ids ids;
        BytePairEncoder(vocabulary, ids).encode(text);
        Ids expected;
        for (const int32_t id : reference_encode(vocabulary, text)) {
            // This vocabulary has no bytes: a character it lacks is one <unk>.
            expected.push_back(id == kNoToken ? vocabulary.unknown() : id);
        }
        // The reference gives one id for each byte of U+FFFD, the encoder one for the character.
        if (text.find('\xFF') == std::string::npos) {
            EXPECT_EQ(ids, expected) << text;
        }
    }
}

TEST(BytePair, nano_agrees_with_the_definition) {
    std::mt19937 random(13);
    const Vocabulary& vocabulary = nano().vocabulary();
    std::vector<std::string> parts = {
        " ",    "  ", "\n", "\n\n",  "\t", "e", "th", "\xC3\xA9", "\xF0\x9F\x98\x80",
        "\xE2", ".",  "1",  "<eos>", "\r"};
    for (int i = 0; i < 300; ++i) {
        parts.emplace_back(vocabulary.bytes(static_cast<int32_t>(random() % vocabulary.size())));
    }
    for (int round = 0; round < 300; ++round) {
        const std::string text = random_text(random, parts, random() % 60);
        EXPECT_EQ(nano().encode(text), reference_encode(vocabulary, text)) << text;
    }
}

TEST(BytePair, full_vocabulary_agrees_with_the_definition) {
    if (full() == nullptr) {
        GTEST_SKIP() << "no reference data";
    }
    std::mt19937 random(17);
    const Vocabulary& vocabulary = full()->vocabulary();
    for (int round = 0; round < 300; ++round) {
        std::string text;
        for (size_t n = random() % 60; n > 0; --n) {
            text += vocabulary.bytes(static_cast<int32_t>(random() % vocabulary.size()));
        }
        EXPECT_EQ(full()->encode(text), reference_encode(vocabulary, text)) << text;
    }
}

// In Gemma's list the ids of the products never fall as ranks rise, white-space runs aside. A
// reader of the list that went by ids would then give the same ids; this is what says so.
TEST(BytePair, ranks_follow_ids_in_the_full_vocabulary) {
    if (full() == nullptr) {
        GTEST_SKIP() << "no reference data";
    }
    const Vocabulary& vocabulary = full()->vocabulary();
    int32_t last = 0;
    for (uint32_t rank = 1396; rank < vocabulary.merges().size(); ++rank) {
        EXPECT_GE(vocabulary.merges().product(rank), last) << rank;
        last = vocabulary.merges().product(rank);
    }
}

}  // namespace
}  // namespace gemlet::test
