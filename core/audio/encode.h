// The forward pass of both audio designs.
#pragma once

#include <cstddef>

#include "core/audio/audio_config.h"
#include "core/audio/audio_weights.h"
#include "core/audio/audio_workspace.h"
#include "core/tower/tower_linear.h"

namespace gemlet {

/// What a run reads and never changes.
struct AudioModel {
    const AudioConfig& config;
    const AudioWeights& weights;
};

/// The next frames of a sound.
struct SoundPiece {
    const float* frames;  // [n_frames, frame_width]
    size_t n_frames;
    bool last;
};

/// Soft tokens that a piece finishes.
size_t tokens_of(const AudioConfig& config, const AudioWorkspace& workspace,
                 const SoundPiece& piece) noexcept;

/// Takes a piece that finishes at most workspace.max_soft tokens (checked by the caller) and writes
/// those to soft [n, text_width]; returns n. workspace.encoded() then holds the encoder's output
/// before the projector's norm. Each row's arithmetic is its own, so that pieces of any size give
/// the same bits. Threads: one run at a time per workspace. Allocates nothing.
size_t encode_piece(const TowerCompute& compute, const AudioModel& model, AudioWorkspace& workspace,
                    const SoundPiece& piece, float* soft) noexcept;

/// The two convolutions: n tokens' frames, waiting ones first, become workspace.subsampled().
void subsample(const TowerCompute& compute, const AudioModel& model, AudioWorkspace& workspace,
               const SoundPiece& piece, size_t n) noexcept;

/// workspace.subsampled() [n, subsampled_width] becomes workspace.encoded() [n, output_width].
void run_conformer(const TowerCompute& compute, const AudioModel& model, AudioWorkspace& workspace,
                   size_t n) noexcept;

/// Fills workspace.distances, once at opening.
void prepare_distances(const TowerCompute& compute, const AudioModel& model,
                       AudioWorkspace& workspace) noexcept;

}  // namespace gemlet
