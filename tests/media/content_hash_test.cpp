#include "frontends/media/content_hash.h"

#include <gtest/gtest.h>

#include <set>
#include <vector>

namespace gemlet {
namespace {

TEST(ContentHash, differs_for_every_length_bit_and_setting) {
    std::set<ContentHash> seen;
    size_t n = 0;
    for (size_t length = 0; length < 40; ++length) {
        std::vector<uint8_t> bytes(length, 0);
        for (const uint64_t setting : {70U, 280U}) {
            seen.insert(hash_content(bytes, setting));
            ++n;
        }
        for (size_t bit = 0; bit < length * 8; ++bit) {
            bytes[bit / 8] = static_cast<uint8_t>(1U << bit % 8);
            seen.insert(hash_content(bytes, 70));
            bytes[bit / 8] = 0;
            ++n;
        }
    }
    EXPECT_EQ(seen.size(), n);
}

TEST(ContentHash, is_the_same_for_the_same_bytes_and_marks_are_never_zero) {
    const std::vector<uint8_t> bytes(100, 7);
    const std::vector<uint8_t> copy = bytes;
    EXPECT_EQ(hash_content(bytes, 1), hash_content(copy, 1));
    EXPECT_NE(hash_content(bytes, 1).mark(), 0U);
    EXPECT_NE(ContentHash{}.mark(), 0U);
}

}  // namespace
}  // namespace gemlet
