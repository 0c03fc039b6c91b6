"""What every stage needs: files, folders written whole, manifests, processes, progress, pages. Imports only the standard library."""
