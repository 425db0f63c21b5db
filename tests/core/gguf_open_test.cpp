// GGUF models on disk: single, split into parts, and the real files where they are at hand.
#include <gtest/gtest.h>

#include <filesystem>

#include "core/files/gguf.h"
#include "tests/core/gguf_writer.h"
#include "tests/core/temp_tree.h"

namespace gemlet {
namespace {

// Part `part` of `n_parts` with one tensor, announcing n_tensors for the whole model.
GgufWriter split_part(uint16_t part, uint16_t n_parts, int32_t n_tensors) {
    GgufWriter file;
    file.values = {gguf_scalar<uint16_t>("split.no", 2, part),
                   gguf_scalar<uint16_t>("split.count", 2, n_parts),
                   gguf_scalar<int32_t>("split.tensors.count", 5, n_tensors)};
    if (part == 0) file.values.push_back(gguf_text("general.architecture", "gemma4"));
    file.tensors = {{"t" + std::to_string(part), {8}, 0, 0}};
    file.n_data_bytes = 32;
    return file;
}

std::string part_name(int part) { return "m-0000" + std::to_string(part) + "-of-00003.gguf"; }

// A sound model of three parts.
void write_parts(const TempTree& tree) {
    for (uint16_t part = 0; part < 3; ++part) {
        tree.write(part_name(part + 1), split_part(part, 3, 3).bytes());
    }
}

Status open_parts(const TempTree& tree, const std::string& first = part_name(1)) {
    return GgufFile::open(tree.path(first)).error();
}

TEST(GgufFile, joins_the_parts_of_a_split_model) {
    const TempTree tree;
    write_parts(tree);
    const auto model = GgufFile::open(tree.path(part_name(1)));
    ASSERT_TRUE(model) << model.error().message();
    EXPECT_EQ(model->files().size(), 3U);
    ASSERT_EQ(model->tensors().size(), 3U);
    for (uint32_t part = 0; part < 3; ++part) {
        const TensorView* tensor = model->tensor("t" + std::to_string(part));
        ASSERT_NE(tensor, nullptr);
        EXPECT_EQ(tensor->file_index, part);
        const auto file = model->files()[part].bytes();
        EXPECT_EQ(tensor->bytes.data() + tensor->bytes.size(), file.data() + file.size());
        EXPECT_EQ(tensor->bytes[31], 31 * 7 + 1);
    }
    EXPECT_EQ(model->tensor("t3"), nullptr);
    EXPECT_EQ(model->find("general.architecture")->as_string(), "gemma4");
}

TEST(GgufFile, refuses_incomplete_and_mixed_up_parts) {
    const TempTree tree;
    write_parts(tree);
    EXPECT_EQ(open_parts(tree, part_name(2)).code(), StatusCode::bad_argument);

    std::filesystem::rename(tree.path(part_name(1)), tree.path("renamed.gguf"));
    EXPECT_EQ(open_parts(tree, "renamed.gguf").code(), StatusCode::corrupt);
    write_parts(tree);
    std::filesystem::remove(tree.path(part_name(3)));
    Status status = open_parts(tree);
    EXPECT_EQ(status.code(), StatusCode::not_found);
    EXPECT_TRUE(status.subject().ends_with(part_name(3)));
    // Another part under that name, a part of another split, no part at all, a broken one.
    for (const std::string& bytes :
         {split_part(1, 3, 3).bytes(), split_part(2, 4, 3).bytes(), GgufWriter().bytes()}) {
        tree.write(part_name(3), bytes);
        status = open_parts(tree);
        EXPECT_EQ(status.code(), StatusCode::corrupt) << status.message();
        EXPECT_TRUE(status.subject().ends_with(part_name(3)));
    }
    tree.write(part_name(3), "GGUF");
    status = open_parts(tree);
    EXPECT_EQ(status.code(), StatusCode::corrupt);
    EXPECT_TRUE(status.subject().ends_with(part_name(3)));
}

TEST(GgufFile, checks_the_tensors_of_all_parts_together) {
    const TempTree tree;
    write_parts(tree);
    GgufWriter part = split_part(2, 3, 3);
    part.tensors[0].name = "t0";
    tree.write(part_name(3), part.bytes());
    EXPECT_EQ(open_parts(tree).subject(), "t0");
    tree.write(part_name(3), split_part(2, 3, 3).bytes());
    tree.write(part_name(1), split_part(0, 3, 4).bytes());
    EXPECT_EQ(open_parts(tree).subject(), "split.tensors.count");
    part = split_part(0, 3, 3);
    part.values[1] = gguf_scalar<int64_t>("split.count", 11, -1);
    tree.write(part_name(1), part.bytes());
    EXPECT_EQ(open_parts(tree).subject(), "split.count");
    part.values[1] = gguf_scalar<int64_t>("split.count", 11, INT64_MAX);
    tree.write(part_name(1), part.bytes());
    EXPECT_EQ(open_parts(tree).code(), StatusCode::corrupt);
}

TEST(GgufFile, takes_a_split_of_one_part_under_any_name) {
    const TempTree tree;
    tree.write("any.gguf", split_part(0, 1, 1).bytes());
    EXPECT_TRUE(open_parts(tree, "any.gguf").ok());
}

TEST(GgufFile, names_the_path_of_a_file_that_is_not_there_or_broken) {
    const TempTree tree;
    EXPECT_EQ(open_parts(tree, "none.gguf").code(), StatusCode::not_found);
    tree.write("empty.gguf", "");
    const Status status = open_parts(tree, "empty.gguf");
    EXPECT_EQ(status.code(), StatusCode::corrupt);
    EXPECT_TRUE(status.subject().ends_with("empty.gguf"));
}

TEST(GgufFile, opens_every_real_file) {
    const std::filesystem::path root = std::filesystem::path(GEMLET_SHARED_DATA) / "data";
    if (!std::filesystem::exists(root)) GTEST_SKIP() << "no reference data";
    size_t n_files = 0;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(root)) {
        if (entry.path().extension() != ".gguf") continue;
        const auto model = GgufFile::open(entry.path().string());
        ASSERT_TRUE(model) << entry.path() << model.error().message();
        EXPECT_NE(model->find("general.architecture"), nullptr) << entry.path();
        ++n_files;
    }
    EXPECT_GT(n_files, 0U);
}

TEST(GgufFile, reads_the_real_vocabulary) {
    const auto path =
        std::filesystem::path(GEMLET_SHARED_DATA) / "data/tokenizer/gemma4-vocab.gguf";
    if (!std::filesystem::exists(path)) GTEST_SKIP() << "no reference data";
    const auto model = GgufFile::open(path.string());
    ASSERT_TRUE(model) << model.error().message();
    EXPECT_TRUE(model->tensors().empty());
    const auto tokens = model->find("tokenizer.ggml.tokens")->as_strings();
    const auto merges = model->find("tokenizer.ggml.merges")->as_strings();
    ASSERT_TRUE(tokens && merges);
    EXPECT_EQ(tokens->size(), 262144U);
    EXPECT_EQ((*tokens)[2], "<bos>");
    EXPECT_EQ(merges->size(), 514906U);
}

}  // namespace
}  // namespace gemlet
