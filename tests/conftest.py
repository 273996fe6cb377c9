"""Settings shared by all tests."""

import gc
import os
import shutil
import warnings
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from tests import forks
from tests.helpers import DEFAULTS_NEED, SMALL_ARGUMENTS, TINY_ARGUMENTS, missing_data

settings.register_profile("suite", derandomize=True, deadline=None)
settings.load_profile("suite")


#: What `make test-fast` leaves out beside tests marked slow: tests that start processes, compile, train, or compare
#: with many samples. Each entry is the beginning of a test's id.
SLOW = (
    "tests/agents/acquire/",
    "tests/agents/baselines/test_baselines.py::test_soft_agents_learn_the_target",
    "tests/agents/baselines/test_mcmc.py",
    "tests/agents/cli/",
    "tests/agents/distributed/",
    "tests/agents/engines/test_adam.py::test_the_same_numbers_as_torch_to_the_bit",
    "tests/agents/engines/test_adam.py::test_training_does_not_import_torchs_compiler",
    "tests/agents/engines/test_numba",
    "tests/agents/evaluation/test_coverage.py",
    "tests/agents/evaluation/test_estimates.py::test_the_estimate_of_p_is_unbiased",
    "tests/agents/gflownets/test_guided_stages.py",
    "tests/agents/gflownets/test_policy_gradients.py::test_agents_come_close_to_the_target",
    "tests/agents/gflownets/test_tb_in_one_file.py::test_same_settings_reach_the_same_total_variation",
    "tests/agents/losses/test_balance.py::test_subtb_equals_the_triple_loop",
    "tests/agents/losses/test_identities.py::test_wherever_the_loss_is_zero_objects_are_sampled_in_proportion_to_reward",
    "tests/agents/plots/",
    "tests/agents/policies/test_backward.py::test_a_policy_of_ones_own_trains_and_samples",
    "tests/agents/policies/test_graph_network.py::test_every_agent_learns_with_it_and_resumes_to_the_bit",
    "tests/agents/policies/test_policies.py::test_every_combination_learns_or_is_refused_with_the_reason",
    "tests/agents/policies/test_policies.py::test_other_forms_learn_too",
    "tests/agents/policies/test_policies.py::test_relative_edge_flows_equal_one_pair_at_a_time",
    "tests/agents/replay/test_draws.py::test_the_composition_of_prioritized_batches",
    "tests/agents/replay/test_schemes.py::test_one_seed_one_result_and_resuming_is_exact",
    "tests/agents/report/",
    "tests/agents/runs/test_inputs.py::test_a_module_is_imported_with_leave_only",
    "tests/agents/runs/test_inputs.py::test_a_reward_of_a_script_resumes_in_a_new_process",
    "tests/agents/runs/test_integrity.py",
    "tests/agents/runs/test_legacy.py",
    "tests/agents/runs/test_oracle_runs.py",
    "tests/agents/runs/test_runs.py",
    "tests/agents/sweeps/",
    "tests/agents/test_agents.py::test_a_tabular_policy_learns_the_target",
    "tests/agents/test_agents.py::test_every_agent_learns_hypergrid",
    "tests/agents/test_agents.py::test_exact_distribution_agrees_with_samples",
    "tests/agents/test_agents.py::test_guided_trajectory_balance_learns_hypergrid",
    "tests/agents/test_agents.py::test_one_seed_one_result",
    "tests/agents/test_agents.py::test_tb_learns_hypergrid",
    "tests/agents/test_copies.py::test_copies_and_pickles_go_on_to_the_bit",
    "tests/agents/test_deprecated.py::test_the_warning_names_the_users_line",
    "tests/agents/test_local_search.py::test_the_search_follows_its_transition_matrix",
    "tests/agents/test_rollout.py::test_backward_samples_follow_the_uniform_policy",
    "tests/agents/test_rollout.py::test_forward_samples_follow_the_policy",
    "tests/agents/test_tempering.py",
    "tests/docs/",
    "tests/forks/",
    "tests/gfn_envs/checker/test_checker.py::test_default_instances_are_well_formed",
    "tests/gfn_envs/checker/test_checker.py::test_large_environments_are_checked_in_seconds",
    "tests/gfn_envs/checker/test_kinds.py::test_every_kind_of_result_is_a_finding",
    "tests/gfn_envs/envs/molecules/test_atom_molecule.py",
    "tests/gfn_envs/envs/phylogenetics/test_alignment_files.py",
    "tests/gfn_envs/envs/proteins/test_proteins.py::test_amp_needs_no_download",
    "tests/gfn_envs/envs/proteins/test_proteins.py::test_packaged_weights_are_the_fit",
    "tests/gfn_envs/envs/test_assignments.py::test_log_partition_of_ising_models_of_either_sign",
    "tests/gfn_envs/envs/test_damaged_files.py::test_damaged_files",
    "tests/gfn_envs/envs/test_fragment_trees.py::test_states_and_parents_equal_those_by_canonical_smiles",
    "tests/gfn_envs/envs/test_integers.py",
    "tests/gfn_envs/envs/test_molecules.py",
    "tests/gfn_envs/envs/test_odd_arguments.py::test_any_value_is_used_or_refused_by_name",
    "tests/gfn_envs/envs/test_odd_arguments.py::test_numbers_of_paths_do_not_depend_on_the_batch",
    "tests/gfn_envs/envs/test_string_rewards.py::test_qm9str_rewards_are_the_published_table",
    "tests/gfn_envs/gym/test_env.py::test_copies_of_an_environment_go_on_where_it_stands",
    "tests/gfn_envs/gym/test_env.py::test_episode_statistics_of_vectors",
    "tests/gfn_envs/gym/test_env.py::test_episodes_start_from_the_states_and_no_other_row",
    "tests/gfn_envs/gym/test_env.py::test_gymnasium_accepts_every_option",
    "tests/gfn_envs/gym/test_env.py::test_videos_are_recorded",
    "tests/gfn_envs/gym/test_gymnasium_conventions.py::test_truncated_vectors_equal_sync_vector_env",
    "tests/gfn_envs/gym/test_rendering.py::test_vectors_render_as_sync_does",
    "tests/gfn_envs/gym/test_rewards.py::test_soft_rewards_make_maximum_entropy_control_sample_the_target",
    "tests/gfn_envs/gym/test_vector_env.py",
    "tests/gfn_envs/oracle/test_cluster.py",
    "tests/gfn_envs/oracle/test_oracle.py::test_calls_that_hang_or_die_fail_alone",
    "tests/gfn_envs/oracle/test_oracle.py::test_every_call_is_accounted_for",
    "tests/gfn_envs/oracle/test_oracle.py::test_four_workers_make_the_calls_of_four",
    "tests/gfn_envs/test_cli.py::test_main_needs_neither_torch_nor_agents",
    "tests/gfn_envs/test_dag.py::test_actions_may_be_of_any_integer_type",
    "tests/gfn_envs/test_dag.py::test_an_undone_step_is_redone",
    "tests/gfn_envs/test_dag.py::test_distinct_actions_are_distinct_edges",
    "tests/gfn_envs/test_dag.py::test_no_rows_give_no_rows",
    "tests/gfn_envs/test_dag.py::test_read_only_and_strided_rows_give_the_same",
    "tests/gfn_envs/test_data.py",
    "tests/gfn_envs/test_enumeration.py::test_memory_of_an_enumeration_is_a_few_hundred_bytes_per_state",
    "tests/gfn_envs/test_exact.py::test_terminal_distribution_against_samples",
)


#: The longest tests come first, so that no process works on one of them at the end while the others wait.
FIRST = ("tests/docs/test_docs.py", "tests/agents/sweeps/test_ray.py", "tests/agents/cli/test_from_a_shell.py")


#: A file system in memory. Runs are written through to the disk thousands of times, which takes 5 ms each elsewhere.
MEMORY = Path("/dev/shm")


def is_roomy(folder: Path) -> bool:
    """Whether the tests' files, of some 100 MB, can be written to a folder."""
    return os.access(folder, os.W_OK) and shutil.disk_usage(folder).free > 2e9


def pytest_configure(config: pytest.Config) -> None:
    if is_roomy(MEMORY):
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(MEMORY))
    gc.disable()  # Twenty thousand tests are collected, and stay.
    # Some tests run in directories of their own, from which a relative path would lead elsewhere.
    if mirror := os.environ.get("GFN_ENVS_DATA"):
        os.environ["GFN_ENVS_DATA"] = str(Path(mirror).absolute())
    if config.args_source is pytest.Config.ArgsSource.TESTPATHS and not config.option.markexpr:
        # One for all test processes. Numba compiles in it while they collect the tests.
        os.environ.setdefault(forks.SHARED, forks.python())
    config.addinivalue_line("markers", "data(*names): needs these data sets, and is skipped if they are not available")
    config.addinivalue_line("markers", "slow: left out by `make test-fast`")


def is_repetition(params: dict[str, Any]) -> bool:
    """Whether a test runs on a further small instance of an environment, not on its first one."""
    env_id, kwargs = params.get("env_id", ""), params.get("kwargs")
    return kwargs in SMALL_ARGUMENTS.get(env_id, [])[1:] and kwargs not in TINY_ARGUMENTS.get(env_id, [])


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark slow tests. Skip tests whose data are not available, and say what to set."""
    if config.args_source is pytest.Config.ArgsSource.TESTPATHS:
        for entry in SLOW:
            if not any(item.nodeid.startswith(entry) for item in items):
                warnings.warn(f"SLOW in tests/conftest.py: no test is called {entry}")
    items.sort(key=lambda item: not item.nodeid.startswith(FIRST))
    for item in items:
        params = item.callspec.params if hasattr(item, "callspec") else {}
        if item.nodeid.startswith(SLOW) or is_repetition(params):
            item.add_marker(pytest.mark.slow)
        needed = [name for mark in item.iter_markers("data") for name in mark.args]
        # Property tests draw arguments of their own.
        if "kwargs" not in params and not getattr(item.obj, "is_hypothesis_test", False):
            needed += DEFAULTS_NEED.get(params.get("env_id", ""), [])
        if reason := missing_data(needed):
            item.add_marker(pytest.mark.skip(reason=reason))


def pytest_collection_finish() -> None:
    gc.freeze()
    gc.enable()


#: Names of the program in Debian and elsewhere.
CHROMIUM = ("chromium", "chromium-browser", "google-chrome", "chrome")


@pytest.fixture(scope="session")
def browser():
    """Headless Chromium, driven by Playwright, if this machine has one."""
    program = next(filter(None, map(shutil.which, CHROMIUM)), None)
    if program is None:
        pytest.skip(f"no Chromium: install one of {', '.join(CHROMIUM)} (on Debian: apt install chromium)")
    sync_api = pytest.importorskip("playwright.sync_api", reason="needs Playwright: pip install playwright")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()
