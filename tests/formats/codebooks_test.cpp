// The imported code books against the digests published in the GGUF specification.
#include "quant/formats/codebooks.h"

#include <gtest/gtest.h>

#include <span>
#include <string>
#include <vector>

#include "tests/formats/sha256.h"

namespace gemlet {
namespace {

std::string digest(std::span<const uint16_t> book, unsigned bits, size_t n_values,
                   const int8_t* levels) {
    std::vector<uint8_t> values;
    for (const uint32_t entry : book) {
        for (size_t j = 0; j < n_values; ++j) {
            const uint32_t field = (entry >> (bits * j)) & ((1U << bits) - 1);
            values.push_back(static_cast<uint8_t>(levels[field]));
        }
    }
    return sha256_hex(values);
}

TEST(Sha256, knows_the_standard_examples) {
    EXPECT_EQ(sha256_hex({}), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    EXPECT_EQ(sha256_hex({'a', 'b', 'c'}),
              "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST(CodeBooks, have_the_specified_digests) {
    EXPECT_EQ(digest(kIq2XxsBook, 2, 8, kIq2Levels),
              "05826b5d3e472a3a78f196be62ac78acf81df0f909626e12ab9fa2a5d490dd54");
    EXPECT_EQ(digest(kIq2XsBook, 2, 8, kIq2Levels),
              "06e47aaca60b4dc1d9b5a3f34540437058a6b142b4d7a59d5ded769b4d1bf1de");
    EXPECT_EQ(digest(kIq2SBook, 2, 8, kIq2Levels),
              "e1aa1473412b0552c2174c30ef22ab4073f6a181b85a17056e8249bd2932fd88");
    EXPECT_EQ(digest(kIq3XxsBook, 3, 4, kIq3XxsLevels),
              "46e35f5a997efdee6c99ce57854c8a0d4f0ff8ca57e5e8a60c0793ea580acf5d");
    EXPECT_EQ(digest(kIq3SBook, 3, 4, kIq3SLevels),
              "bd1af4945a1717c65610b0284e4628b9a1ba3b306fae3a06f6e5f597356e349f");
}

}  // namespace
}  // namespace gemlet
