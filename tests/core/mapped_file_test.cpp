#include "core/files/mapped_file.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>
#include <string>
#include <utility>

#include "tests/core/temp_tree.h"

namespace gemlet {
namespace {

TEST(MappedFile, shows_the_bytes_until_it_is_destroyed) {
    const TempTree tree;
    const std::string text = std::string(10'000, 'x') + "end";
    tree.write("file", text);
    auto file = MappedFile::open(tree.path("file"));
    ASSERT_TRUE(file) << file.error().message();
    const uint8_t* address = file->bytes().data();
    EXPECT_EQ(file->path(), tree.path("file"));

    MappedFile moved = std::move(*file);
    EXPECT_EQ(moved.bytes().data(), address);  // views survive a move
    EXPECT_EQ(moved.path(), tree.path("file"));
    MappedFile assigned;
    assigned = std::move(moved);
    ASSERT_EQ(assigned.bytes().size(), text.size());
    EXPECT_TRUE(std::equal(text.begin(), text.end(), assigned.bytes().begin()));
    for (const Access access :
         {Access::random, Access::sequential, Access::soon, Access::not_needed}) {
        advise(assigned.bytes(), access);
        advise(assigned.bytes().subspan(5000, 100), access);
        advise({}, access);
    }
    EXPECT_EQ(assigned.bytes().back(), 'd');  // still there after all advice
}

TEST(MappedFile, takes_an_empty_file) {
    const TempTree tree;
    tree.write("empty", "");
    const auto file = MappedFile::open(tree.path("empty"));
    ASSERT_TRUE(file) << file.error().message();
    EXPECT_TRUE(file->bytes().empty());
}

TEST(MappedFile, says_why_it_cannot_open) {
    const TempTree tree;
    tree.write("file", "x");
    EXPECT_EQ(MappedFile::open(tree.path("none")).error().code(), StatusCode::not_found);
    EXPECT_EQ(MappedFile::open(tree.path("file/below")).error().code(), StatusCode::not_found);
    EXPECT_EQ(MappedFile::open("").error().code(), StatusCode::not_found);
    EXPECT_EQ(MappedFile::open(tree.path()).error().code(), StatusCode::unsupported);
    ASSERT_EQ(mkfifo(tree.path("pipe").c_str(), 0600), 0);
    EXPECT_EQ(MappedFile::open(tree.path("pipe")).error().code(), StatusCode::unsupported);
    const std::string with_nul = tree.path("file") + std::string("\0x", 2);
    EXPECT_EQ(MappedFile::open(with_nul).error().code(), StatusCode::bad_argument);
    EXPECT_EQ(MappedFile::open(std::string(5000, 'n')).error().code(), StatusCode::io);
}

}  // namespace
}  // namespace gemlet
