"""What of a trie is in sight: branches can be hidden, and end before nodes that were withdrawn."""

from tokexplore.models.tree.trie import ROOT, Branch, Trie


def is_hidden(trie: Trie, number: int) -> bool:
    """Whether a branch, or one that it comes from, is hidden."""
    while number:
        branch = trie.branch(number)
        if branch.hidden:
            return True
        if branch.root:
            return False
        fork = trie.fork_of(branch)
        number = trie.branch_of[fork]
        if trie.depth[fork] > trie.depth[trie.branch(number).tip]:
            return True
    return False


def is_out_of_sight(trie: Trie, node: int) -> bool:
    """Whether a node was withdrawn, or the branch that it is on is hidden."""
    number = trie.branch_of[node]
    return trie.depth[node] > trie.depth[trie.branch(number).tip] or is_hidden(trie, number)


def is_fork(trie: Trie, node: int) -> bool:
    """Whether two or more tokens were taken after `node`; hidden branches don't count."""
    heads = trie.children[node]
    return len(heads) > 1 and sum(not is_out_of_sight(trie, head) for head in heads) > 1


def follower(trie: Trie, node: int) -> int:
    """A node that carries on the branch of its parent.

    Raises:
        ValueError: for any other.
    """
    if not trie.checked_node(node) or trie.branch_of[node] != trie.branch_of[trie.parent[node]]:
        raise ValueError(f"node {node} carries no branch on")
    return node


def hide(trie: Trie, number: int, *, hidden: bool) -> None:
    """Take a branch out of sight, with those that leave it, or bring it back.

    Raises:
        ValueError: for a branch that is not in the tree.
    """
    trie.checked_branch(number).hidden = hidden
    _reshape(trie)


def withdraw(trie: Trie, node: int, *, withdrawn: bool) -> None:
    """Let a branch end before `node`, or go on with it.

    Raises:
        ValueError: for a node that carries no branch on.
    """
    (trie.withdrawn.add if withdrawn else trie.withdrawn.discard)(follower(trie, node))
    _recount(trie, trie.branch(trie.branch_of[node]))
    _reshape(trie)


def _reshape(trie: Trie) -> None:
    """What is in sight has changed; a way out of sight no longer tells what others were."""
    trie.shape += 1
    end, _ = trie.way
    if end != ROOT and is_out_of_sight(trie, end):
        trie.way = ROOT, ()


def _recount(trie: Trie, branch: Branch) -> None:
    """Find the part of a branch that is in sight, and its figures."""
    node: int | None = branch.head
    branch.generated = branch.scored = 0
    branch.logprob_sum = 0.0
    while node is not None:
        branch.tip = node
        if trie.origin[node] != "prompt":
            branch.generated += 1
            branch.add_score(trie.logprob[node])
        node = next(iter(trie.children[node]), None)
        if node in trie.withdrawn:
            break
