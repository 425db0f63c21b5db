#include "frontends/media/content_hash.h"

#include <gtest/gtest.h>

#include <set>
#include <vector>

#include "frontends/media/soft_tokens.h"

namespace gemlet {
namespace {

TEST(ContentHash, differs_for_every_length_bit_and_setting) {
    std::set<ContentHash> seen;
    size_t n = 0;
    for (size_t length = 0; length < 40; ++length) {
        std::vector<uint8_t> bytes(length, 0);
        for (const uint64_t setting : {70U, 280U}) {
            seen.insert(with_setting(hash_content(bytes), setting));
            ++n;
        }
        for (size_t bit = 0; bit < length * 8; ++bit) {
            bytes[bit / 8] = static_cast<uint8_t>(1U << bit % 8);
            seen.insert(with_setting(hash_content(bytes), 70));
            bytes[bit / 8] = 0;
            ++n;
        }
    }
    EXPECT_EQ(seen.size(), n);
}

TEST(ContentHash, is_the_same_for_the_same_bytes_and_marks_are_never_zero) {
    const std::vector<uint8_t> bytes(100, 7);
    const std::vector<uint8_t> copy = bytes;
    EXPECT_EQ(hash_content(bytes), hash_content(copy));
    EXPECT_NE(hash_content(bytes).mark(), 0U);
    EXPECT_NE(ContentHash{}.mark(), 0U);
}

TEST(ContentHash, goes_through_text) {
    const ContentHash hash{0x0123456789ABCDEF, 7};
    EXPECT_EQ(to_hex(hash), "0123456789abcdef0000000000000007");
    EXPECT_EQ(hash_of_hex(to_hex(hash)), hash);
    const std::string digits = to_hex(hash);
    for (const std::string& text : {std::string(), digits.substr(1), digits + "0",
                                    "g" + digits.substr(1), "-" + digits.substr(1)}) {
        EXPECT_FALSE(hash_of_hex(text).has_value()) << text;
    }
}

TEST(SoftTokenCache, drops_what_was_not_asked_for_longest) {
    const auto soft = [](float value) { return SoftTokens{.n = 1, .values = {value, value}}; };
    const auto key = [](uint64_t i) { return ContentHash{i, i}; };
    SoftTokenCache cache(2 * 2 * sizeof(float));
    const SharedSoftTokens held = cache.keep(key(1), soft(1));
    (void)cache.keep(key(2), soft(2));
    EXPECT_EQ(cache.find(key(1)), held);
    (void)cache.keep(key(3), soft(3));
    EXPECT_EQ(cache.find(key(2)), nullptr);
    EXPECT_EQ(cache.find(key(1)), held);
    EXPECT_EQ(cache.bytes(), 4 * sizeof(float));
    cache.limit(0);
    (void)cache.keep(key(4), soft(4));
    EXPECT_NE(cache.find(key(4)), nullptr);  // alone it may exceed the limit
    EXPECT_EQ(cache.find(key(1)), nullptr);
    EXPECT_EQ(held->values[0], 1);  // stays with its holder
}

}  // namespace
}  // namespace gemlet
