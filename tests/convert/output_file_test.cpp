// A file is there when it is complete, and otherwise nothing is.
#include "quant/convert/output_file.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>

#include "tests/core/temp_tree.h"

namespace gemlet {
namespace {

constexpr uint8_t kBytes[] = {1, 2, 3, 4};

bool is_empty(const TempTree& tree) { return std::filesystem::is_empty(tree.path()); }

TEST(OutputFile, appears_when_finished) {
    const TempTree tree;
    const std::string path = tree.path("out");
    {
        Result<OutputFile> file = OutputFile::create(path, 8, 2, false, "x");
        ASSERT_TRUE(file.has_value());
        EXPECT_TRUE(file->write(4, kBytes).ok());
        EXPECT_FALSE(std::filesystem::exists(path));
        EXPECT_TRUE(file->finish().ok());
    }
    std::ifstream in(path, std::ios::binary);
    const std::string text{std::istreambuf_iterator<char>(in), {}};
    EXPECT_EQ(text, std::string("\0\0\0\0\1\2\3\4", 8));
    EXPECT_EQ(std::distance(std::filesystem::directory_iterator(tree.path()), {}), 1);
}

TEST(OutputFile, leaves_nothing_when_given_up) {
    const TempTree tree;
    {
        Result<OutputFile> file = OutputFile::create(tree.path("out"), 8, 2, false, "x");
        ASSERT_TRUE(file.has_value());
        EXPECT_TRUE(file->write(0, kBytes).ok());
    }
    EXPECT_TRUE(is_empty(tree));
}

TEST(OutputFile, says_what_is_wrong_with_the_place) {
    const TempTree tree;
    EXPECT_EQ(OutputFile::create(tree.path("no/out"), 8, 1, false, "x").error().code(),
              StatusCode::not_found);
    const Result<OutputFile> huge =
        OutputFile::create(tree.path("out"), uint64_t{1} << 60U, 1, false, "x");
    EXPECT_EQ(huge.error().code(), StatusCode::io);
    const Result<OutputFile> folder = OutputFile::create(tree.path(), 8, 1, false, "x");
    EXPECT_TRUE(folder.error().message().ends_with("is a folder"));
    EXPECT_TRUE(is_empty(tree));
}

TEST(OutputFile, goes_on_where_it_was_stopped) {
    const TempTree tree;
    const std::string path = tree.path("out");
    const auto open = [&](const char* fingerprint, uint64_t n_bytes = 8) {
        return OutputFile::create(path, n_bytes, 3, true, fingerprint);
    };
    {
        Result<OutputFile> file = open("a");
        ASSERT_TRUE(file.has_value());
        EXPECT_TRUE(file->write(0, kBytes).ok());
        EXPECT_TRUE(file->mark_done(1).ok());
    }
    std::ofstream(path + ".partial.journal", std::ios::app) << "2";  // cut off before its end
    {
        Result<OutputFile> file = open("a");
        ASSERT_TRUE(file.has_value());
        EXPECT_FALSE(file->is_done(0));
        EXPECT_TRUE(file->is_done(1));
        EXPECT_FALSE(file->is_done(2));
        uint8_t bytes[4] = {};
        EXPECT_TRUE(file->read(0, bytes).ok());
        EXPECT_TRUE(std::ranges::equal(bytes, kBytes));
    }
    {
        Result<OutputFile> other = open("b");
        ASSERT_TRUE(other.has_value());
        EXPECT_FALSE(other->is_done(1));
    }
    Result<OutputFile> file = open("b", 16);
    ASSERT_TRUE(file.has_value());
    EXPECT_TRUE(file->finish().ok());
    EXPECT_EQ(std::distance(std::filesystem::directory_iterator(tree.path()), {}), 1);
}

}  // namespace
}  // namespace gemlet
